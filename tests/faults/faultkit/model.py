"""Tiny runs: a shell script that ends as OMNeT++ does and costs some milliseconds.

The value that it records tells whether an outcome is that of its run. Each execution leaves a
line in a file of the suite, so that it is known how often a run was really executed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oppcloud_worker.messages import Limits, RunRequest

from pytest_oppcloud.content import Content

#: Arguments: name, x, seconds or the file to wait for, file of executions, "--result-dir=...".
SCRIPT = """\
name=$1 x=$2 lasts=$3 executions=$4 results=${5#--result-dir=}
echo "$name" >> "$executions"
case $lasts in
0) ;;
/*) while ! test -e "$lasts"; do sleep 0.1; done ;;
*) sleep "$lasts" ;;
esac
echo 'OMNeT++ Discrete Event Simulation'
cat > "$results/General-$x.sca" <<END
version 3
run General-$x-20260101-00:00:00-$$
attr configname General
attr datetime 20260101-00:00:00
attr datetimef 20260101-00-00-00
attr experiment General
attr inifile omnetpp.ini
attr iterationvars x=$x
attr iterationvarsd x=$x
attr iterationvarsf x=$x
attr measurement x=$x
attr network Tiny
attr processid $$
attr repetition 0
attr replication #0
attr resultdir results
attr runnumber $x
attr seedset 0
itervar x $x

scalar Tiny value $((x * x * 31 + 7))

END
echo '<!> Simulation time limit reached -- at t=1s, event #7'
echo
echo 'End.'
"""

#: The same, but for the value: what is run where nobody looks at digests.
WRONG_SCRIPT = SCRIPT.replace("* 31 + 7", "* 31 + 8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiny:
    """One tiny run."""

    x: int
    #: Seconds that it takes.
    seconds: float = 0.0
    #: File that it waits for instead, so that it does not end before something else has happened.
    gate: str = ""
    #: A shell command that is run in place of the model.
    instead: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return f"tiny-{self.x}"

    @property
    def value(self) -> str:
        """What it must record."""
        return str(self.x * self.x * 31 + 7)

    def request(self, *, shipped: bool, executions: Path) -> RunRequest:
        """Return the request; `shipped`: the script is content, else it stands in the command line."""
        if self.instead:
            program: tuple[str, ...] = ("/bin/sh", "-c", self.instead, "sh")
        elif shipped:
            program = ("/bin/sh", "tiny.sh")
        else:
            program = ("/bin/sh", "-c", SCRIPT, "tiny.sh")
        return RunRequest(
            name=self.name,
            program=program,
            arguments=(self.name, str(self.x), self.gate or f"{self.seconds:g}", str(executions)),
            directory="/",
            config="General",
            run_number=self.x,
            repetition=0,
            itervars={"x": str(self.x)},
            limits=Limits(timeout=120),
        )


def write_content(folder: Path) -> Content:
    """Write the script to `folder`; return it as content. A second file makes that there is a first one."""
    (folder / "tiny.sh").write_text(SCRIPT)
    (folder / "data.txt").write_text("data of the model\n" * 1000)
    return content_in(folder)


def content_in(folder: Path) -> Content:
    """Return what `write_content` has written."""
    # The requests name the folder "/", which becomes the root of the content.
    return Content(root=Path("/"), files=tuple((name, folder / name) for name in ("data.txt", "tiny.sh")))
