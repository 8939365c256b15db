"""Random ini files: valid ones, odd ones, and broken ones, always the same for the same seed.

Made to find out where our reader and OMNeT++ disagree. Nothing here knows what the right answer is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

#: Never used as names of variables, so that a reference to one of them is a mistake.
_UNKNOWN = ("nosuch", "q9")
_NAMES = ("x", "y", "n", "load", "numHosts", "a1", "proto", "r", "z2", "É", "iaTime", "kk", "ll", "mm", "v8", "w")
_NETWORKS = ("Net", '"Net"', "Net.sub", '"a" + "b"', '"bad" x', "${n}")
_TEXTS = ('"a b"', '"q\\"q"', "'single'", "ab", "3s", "100ms", "-1", "0", "1e3", "true", "uniform(1,2)", "#c", '""')
_PATHS = ("**.a", "Net.host[*].b", "*.c", "**.d[0..3].e", "Net.{a-c}x.f", "**.g_h", "**.host{2..4}.i", "**", "*.**.k")


@dataclass(slots=True)
class GeneratedIni:
    """A generated project: its files, and what to ask about them."""

    seed: int
    #: Contents by name; "omnetpp.ini" is the one to read.
    files: dict[str, bytes] = field(default_factory=dict)
    configs: list[str] = field(default_factory=list)
    #: Config and run filter.
    filters: list[tuple[str, str]] = field(default_factory=list)
    #: Config and what stands on the command line.
    overrides: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)

    def write(self) -> None:
        """Write the files into the current folder."""
        for name, data in self.files.items():
            path = Path(name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)


def generate(seed: int) -> GeneratedIni:
    """Return the ini files of that seed."""
    return _Generator(seed).generate()


class _Generator:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # repeatable is what it must be
        self._case = GeneratedIni(seed)
        #: How likely each kind of mistake is; most files have none.
        self._trouble = self._random.choice([0.0, 0.0, 0.0, 0.0, 0.005, 0.02, 0.05])
        #: The variables that the current section can refer to, and those that nobody defined so far.
        self._defined: list[str] = []
        self._free_names = self._random.sample(_NAMES, len(_NAMES))
        self._variables: dict[str, list[str]] = {}

    def generate(self) -> GeneratedIni:
        case = self._case
        sections = self._section_names()
        text = ""
        for index, name in enumerate(sections):
            text += self._heading(name, first=index == 0)
            text += self._section(name, sections[:index])
        case.files["omnetpp.ini"] = self._finish(text)
        case.configs = [*dict.fromkeys([*sections, "General"])]
        for _ in range(self._random.choice([0, 1, 2])):
            case.filters.append((self._random.choice(case.configs), self._filter()))
        for _ in range(self._random.choice([0, 0, 1, 2])):
            case.overrides.append((self._random.choice(case.configs), self._command_line()))
        return case

    # -- sections -------------------------------------------------------------------------------------------------

    def _oops(self) -> bool:
        return self._random.random() < self._trouble

    def _section_names(self) -> list[str]:
        names = ["A", "B", "Conf-1", "D_2", "Täst", "E@x"]
        count = self._random.randint(0, 4)
        chosen = self._random.sample(names, count)
        if self._random.random() < 0.8 or not chosen:
            chosen.insert(0 if self._random.random() < 0.8 else self._random.randint(0, len(chosen)), "General")
        if self._oops():
            chosen.append(self._random.choice(["1x", "a b", "x.y", chosen[0], "_u"]))
        return chosen

    def _heading(self, name: str, *, first: bool) -> str:
        if first and name == "General" and self._random.random() < 0.1:
            return ""
        form = self._random.choice(
            ["[{}]", "[{}]", "[Config {}]", "[ {} ]", "[Config  {}]", "[{}]  # heading", "[{}] "]
        )
        if self._oops():
            form = self._random.choice(["[{}", "[{}] x", "[]", " [{}]", "[Config ]"])
        return form.format(name) + "\n"

    def _section(self, name: str, earlier: list[str]) -> str:
        lines: list[str] = []
        bases = ["General"] if name != "General" else []
        if name != "General" and earlier and self._random.random() < 0.6:
            bases = self._bases(earlier)
            lines.append("extends = " + self._random.choice([", ", ",", " ", " ,", ",,"]).join(bases))
        elif self._oops():
            lines.append("extends = A")
        self._defined = list(dict.fromkeys(v for base in bases for v in self._variables.get(base, [])))
        lines.extend(self._entry() for _ in range(self._random.randint(0, 6)))
        if self._random.random() < 0.35:
            lines.append(f"repeat = {self._repeat()}")
        if self._random.random() < 0.35:
            lines.append(f"constraint = {self._condition(self._references())}")
        if self._random.random() < 0.2:
            lines.append(f"iteration-nesting-order = {self._nesting()}")
        if self._random.random() < 0.15:
            lines.append(self._include())
        self._variables[name] = self._defined
        self._random.shuffle(lines)
        return "".join(self._dressed(line) for line in lines)

    def _bases(self, earlier: list[str]) -> list[str]:
        bases = self._random.sample(earlier, min(len(earlier), self._random.choice([1, 1, 1, 2, 3])))
        if "General" in bases and len(bases) > 1 and not self._oops():
            bases.remove("General")  # an order of bases that contradicts theirs is rare enough
        if self._oops():
            bases.append(self._random.choice(["Missing", "Config A", "General", "A, A"]))
        return bases

    def _include(self) -> str:
        number = len(self._case.files) + 1
        name = self._random.choice([f"part{number}.ini", f"sub/part {number}.inc"])
        if self._oops():
            name = self._random.choice(["missing.ini", "omnetpp.ini", ".", '"part1.ini"'])
            return f"include {name}"
        inner = "".join(self._dressed(self._entry()) for _ in range(self._random.randint(0, 3)))
        if self._random.random() < 0.3:
            inner += "[Inc]\n" + self._dressed(self._entry())
        self._case.files[name] = self._finish(inner)
        return self._random.choice([f"include {name}", f"include\t{name}  # comment"])

    # -- entries --------------------------------------------------------------------------------------------------

    def _entry(self) -> str:
        roll = self._random.random()
        if roll < 0.55:
            return f"{self._random.choice(_PATHS[:7])}{self._equals()}{self._value()}"
        if self._oops():
            return self._random.choice(
                [
                    "no equals",
                    "= 5",
                    "; old",
                    "unknown-option = 1",
                    "**.unknown-option = 1",
                    "vector-recording = true",
                    "#% old-wildcards",
                    '**.s = "open',
                    "**.t = ${x=1",
                    "**.u = ${}",
                    "**.v = ${y z}",
                    "**.w{ = 1",
                    "user-interface = Cmdenv",
                    "**.x = ${configname=1}",
                    "**.y = ${(1}",
                    "** = 7",
                    "sim* = 3s",
                ]
            )
        oops = self._oops()
        options = {
            "network": _NETWORKS if oops else _NETWORKS[:4],
            "sim-time-limit": ("10s", "1h", "${1s, 2s}", "2*5s", "${n}s" if self._has("n") else "1d"),
            "seed-set": self._seed_sets(oops=oops),
            "description": ("plain text", '"quoted"', '"a" + "b"', "with ${repetition}", '"x" y'),
            "result-dir": ("results", '"out"', "r/${configname}", "r-${iterationvars}"),
            "experiment-label": self._labels(oops=oops),
            "measurement-label": self._labels(oops=oops),
            "replication-label": self._labels(oops=oops),
            "runnumber-width": ("3", "0", "9", "-2", "1+1", *(['"2"'] if oops else [])),
            "resultdir-subdivision": ("true", "false", "1 == 1", *(["yes"] if oops else [])),
            f"seed-{self._random.randint(0, 3)}-mt": (),
            "**.vector-recording": ("true", "false", "${true, false}"),
            "output-scalar-file": ("${resultdir}/${configname}.sca", "x-${runnumber}.sca"),
            "abstract": ("true", "false"),
            "warmup-period": (),
        }
        key = self._random.choice(list(options))
        return f"{key} = {self._random.choice(options[key]) if options[key] else self._value()}"

    def _equals(self) -> str:
        return self._random.choice([" = ", "=", " =", "= ", "\t=\t"])

    @staticmethod
    def _seed_sets(*, oops: bool) -> list[str]:
        good = ["5", "${runnumber}", "${repetition}", "2 * 3", "007", "${5,6}", "${repetition} + 1", "0x1F"]
        return [*good, '"x"', "1.5", "-1"] if oops else good

    def _labels(self, *, oops: bool) -> list[str]:
        good = ["plain", '"quoted ${runnumber}"', "${configname}-${repetition}", "$${iterationvarsf}"]
        good += ["${iterationvarsd}", *(f"l-${{{name}}}" for name in self._defined[:2])]
        return [*good, '"${nosuch}"', "${replication}", '"a" b'] if oops else good

    def _has(self, name: str) -> bool:
        return name in self._defined

    def _repeat(self) -> str:
        options = ["1", "2", "3", "1+1", "2*1", "0x2", "2s"]
        return self._random.choice([*options, "0", "-1", "2.0", '"2"', "abc", "${n}", ""] if self._oops() else options)

    def _value(self) -> str:
        roll = self._random.random()
        if roll < 0.25:
            return self._random.choice(_TEXTS)
        if roll < 0.6:
            return self._around(self._definition())
        if roll < 0.7:
            return self._around("${" + self._items([]) + "}")
        references = self._references()
        if roll < 0.85 and references:
            return self._around("${" + self._random.choice(references) + "}")
        predefined = [
            "configname",
            "repetition",
            "runnumber",
            "iterationvars",
            "network",
            "resultdir",
            "inifile",
            "seedset",
        ]
        return self._around("${" + self._random.choice(predefined) + "}")

    def _around(self, core: str) -> str:
        form = self._random.choice(
            ["{}", "{}", "{}", '"t {}"', "{}s", "f({}, 1)", "{} + {}2", "$x {}", "$\\{{{}", "{}  # c"]
        )
        if "{}2" in form:
            return f"{core} + ${{{self._items([])}}}"
        return form.format(core)

    def _references(self) -> list[str]:
        return [*self._defined, "repetition", *(_UNKNOWN if self._oops() else ())]

    def _definition(self) -> str:
        if not self._free_names:
            return "1"
        name = self._free_names.pop()
        known = self._references() if self._random.random() < 0.5 else []
        items = self._items(known)
        master = ""
        if self._defined and self._random.random() < 0.25:
            master = self._random.choice([" ! ", "!", " !"]) + self._random.choice(self._references())
            if self._random.random() < 0.7:
                items += ", 8, 9, 10, 11"  # enough for most masters
        self._defined.append(name)
        equals = self._random.choice(["=", " = ", "= "])
        if self._oops():
            name = self._random.choice([name, "repetition", "my_v", "1v", self._random.choice(_NAMES)])
            equals = self._random.choice(["=", "==", " ", ""])
        return "${" + f"{name}{equals}{items}{master}" + "}"

    # -- lists of values -------------------------------------------------------------------------------------------

    def _items(self, known: list[str]) -> str:
        count = self._random.choice([1, 2, 2, 3, 3, 4])
        text = self._random.choice([", ", ",", " , "]).join(self._item(known) for _ in range(count))
        if self._random.random() < 0.05:
            text += self._random.choice([",", ", ", ",,", " "])
        return text

    def _item(self, known: list[str]) -> str:
        roll = self._random.random()
        if roll < 0.25:
            return self._range(known)
        if roll < 0.4 and known:
            name = self._random.choice(known)
            return self._random.choice(
                [f"${name}", f"${{{name}}}", f"$ {name}", f"${name}s", f"p${name}q", f'"${name}"']
            )
        if self._oops():
            return self._random.choice(['"open', "(1", "1)", "{2]", "a!b", "!x", "..", "1..", "..3", '"a".."b"', "'q"])
        return self._random.choice(
            [
                "1",
                "2",
                "3",
                "0.5",
                "-1",
                "1e2",
                "1s",
                "500ms",
                "10Mbps",
                '"a"',
                '"b c"',
                '"x,y"',
                "'s'",
                "abc",
                "true",
                "f(1,2)",
                "[1,2]",
                "{a: 1}",
                '"wow!"',
                "a b",
                "100%",
                "x_y",
                "äö",
                '"}"',
                "1==1",
                "a.b",
                "step",
                "5dBm",
            ]
        )

    def _range(self, known: list[str]) -> str:
        first = self._bound(known)
        last = self._random.choice([self._bound(known), str(self._random.randint(1, 5))])
        text = first + self._random.choice(["..", " .. "]) + last
        if self._random.random() < 0.4:
            steps = ["1", "2", "0.5", "-1", "1s", "0.1*5"]
            text += " step " + self._random.choice([*steps, "0", "a", ""] if self._oops() else steps)
        return text

    def _bound(self, known: list[str]) -> str:
        roll = self._random.random()
        if roll < 0.3 and known:
            name = self._random.choice(known)
            return self._random.choice([f"${name}", f"${{{name}}}", f"${name}+1", f"2*${name}"])
        if roll < 0.4:
            return self._expression([], depth=2) if self._random.random() < 0.2 else self._number([], depth=1)
        return self._random.choice(["0", "1", "2", "3", "1.5", "-1", "1s", "0.1", "1e1", "007"])

    # -- expressions -----------------------------------------------------------------------------------------------

    def _condition(self, known: list[str]) -> str:
        if self._oops():
            wrong = ["", "1", "$nosuch == 1", "abc", '"$x<2"', "$x <", "true false", "$configname == 1"]
            return self._random.choice(wrong)
        return self._expression(known, depth=3) if self._random.random() < 0.1 else self._boolean(known, depth=2)

    def _boolean(self, known: list[str], depth: int) -> str:
        """Return an expression that is a bool, as long as variables are numbers where they are compared as such."""
        roll = self._random.random()
        if depth and roll < 0.4:
            operator = self._random.choice([" && ", " || ", "&&", "||", " ## "])
            return f"{self._boolean(known, depth - 1)}{operator}{self._boolean(known, depth - 1)}"
        if depth and roll < 0.5:
            return self._random.choice(["!({})", "({})", "({}) == true", "({}) ? true : false"]).format(
                self._boolean(known, depth - 1)
            )
        operator = self._random.choice(["==", "!=", "<", ">", "<=", ">=", "=", " == ", " != ", " < ", " > ", " = "])
        if known and roll < 0.75:
            name = self._random.choice(known)
            return (
                self._random.choice(['"${}"', '"${{{}}}"']).format(name)
                + operator
                + self._random.choice(['"1"', '"a"', '"2"', '""', '"1s"'])
            )
        return f"{self._number(known, depth)}{operator}{self._number(known, depth)}"

    def _number(self, known: list[str], depth: int) -> str:
        roll = self._random.random()
        if depth and roll < 0.5:
            operator = self._random.choice(["+", "-", "*", "/", "^", " + ", " - ", " * ", " / "])
            return f"{self._number(known, depth - 1)}{operator}{self._number(known, depth - 1)}"
        if depth and roll < 0.7:
            form = ["({})", "-{}", "fabs({})", "floor({})", "sqrt({})", "sin({})", "pow({}, 2)", "({} <=> 1)"]
            return self._random.choice(form).format(self._number(known, depth - 1))
        if roll < 0.85:
            name = self._random.choice(known) if known and self._random.random() < 0.2 else "repetition"
            return self._random.choice(["${}", "${{{}}}", "(${})", "${} "]).format(name)
        return self._random.choice(["0", "1", "2", "3", "0.5", "1e1", "0x2", ".25", "7", "10"])

    def _expression(self, known: list[str], depth: int) -> str:
        """Return an expression whose operators and operands need not fit each other."""
        if depth == 0 or self._random.random() < 0.2:
            leaves = [
                "1",
                "2",
                "0",
                "3",
                "1.5",
                "2s",
                "500ms",
                "true",
                "false",
                '"a"',
                '"b"',
                "1e3",
                "0x10",
                ".5",
                "nan",
                "inf",
            ]
            leaves += ["1s 500ms", "5dB", "'c'", "1 MiB", "3bps", "undefined", "null", "7 foo"]
            if self._oops():
                leaves += [
                    "a",
                    "f(1)",
                    "[1]",
                    "a.b",
                    "{a:1}",
                    "1 +",
                    "@",
                    '"',
                    "10 step2",
                    "9223372036854775808",
                    "1e999",
                ]
            if known:
                leaves += [f"${name}" for name in known] * 3
            return self._random.choice(leaves)
        inner = [self._expression(known, depth - 1) for _ in range(3)]
        operators = [
            "+",
            "-",
            "*",
            "/",
            "^",
            "==",
            "!=",
            "<",
            ">",
            "<=",
            ">=",
            "&&",
            "||",
            "##",
            "&",
            "|",
            "#",
            "<<",
            ">>",
        ]
        operators += ["<=>", "=~", "="]
        functions = [
            "sin",
            "ceil",
            "floor",
            "sqrt",
            "fabs",
            "log",
            "ms",
            "s",
            "hypot",
            "fmod",
            "pow",
            "atan2",
            "exp",
            "milliseconds",
        ]
        functions += ["min", "max"] if self._oops() else []
        return self._random.choice(
            [
                f"{inner[0]} {self._random.choice(operators)} {inner[1]}",
                f"{inner[0]}{self._random.choice(operators)}{inner[1]}",
                f"({inner[0]})",
                f"({inner[0]} {self._random.choice(operators)} {inner[1]})",
                f"{self._random.choice('-!~')}{inner[0]}",
                f"{inner[0]} ? {inner[1]} : {inner[2]}",
                f"{self._random.choice(functions)}({inner[0]})",
                f"{self._random.choice(functions)}({inner[0]}, {inner[1]})",
                f"({inner[0]} < {inner[1]})",
            ]
        )

    def _nesting(self) -> str:
        known = self._references()
        names = self._random.sample(known, min(len(known), self._random.randint(1, 3)))
        if self._random.random() < 0.5:
            names.insert(self._random.randint(0, len(names)), "*")
        if self._oops():
            names.append(self._random.choice(["*", "nosuch", ""]))
        return self._random.choice([", ", ",", " , "]).join(names)

    # -- questions --------------------------------------------------------------------------------------------------

    def _filter(self) -> str:
        roll = self._random.random()
        if roll < 0.4:
            options = [
                "0",
                "0,1",
                "0..1",
                "0-1",
                " 0 ",
                "1,0",
                "2..1",
                "0,",
                "",
                "0..2,1",
                "0 .. 1",
                "99",
                "0,,1",
                "1..",
                "-1",
                "0.1",
                "0 1",
            ]
            return self._random.choice(options)
        if roll < 0.8:
            return self._condition([*self._references(), "configname", "runnumber", "iterationvarsf"][-6:])
        return self._random.choice(
            [
                '"$configname" == "A"',
                "$runnumber < 2",
                "$repetition == 0",
                '"${iterationvars}" != ""',
                "n(1)",
                "*",
                "$0 = 1",
            ]
        )

    def _command_line(self) -> list[tuple[str, str]]:
        options = [
            ("repeat", "2"),
            ("seed-set", "${repetition}"),
            ("constraint", "$repetition > 0"),
            ("iteration-nesting-order", "repetition"),
            ("**.a", "5"),
            ("*.c", "${configname}"),
            ("network", "Other"),
            ("experiment-label", '"${runnumber} x"'),
            ("result-dir", "elsewhere/${iterationvarsd}"),
            ("runnumber-width", "4"),
            ("vector-recording", "false"),
            ("**.scalar-recording", "true"),
            ("description", "from here"),
            ("extends", "A"),
        ]
        if self._oops():
            options = [
                ("nosuch", "1"),
                ("**.no-such", "1"),
                ("x.sim-time-limit", "1s"),
                ("repeat", "x"),
                ("repeat", ""),
            ]
            options += [("**.a", "${q9}"), ("**.b{", "1"), ("qtenv-x", "1")]
        return self._random.sample(options, self._random.randint(1, 3))

    # -- the text ----------------------------------------------------------------------------------------------------

    def _dressed(self, line: str) -> str:  # noqa: PLR0911  # one return for each way to dress it
        """Return a line with its line end, and sometimes with more around or within it."""
        roll = self._random.random()
        if roll < 0.06:
            return f"# comment\n{line}\n"
        if roll < 0.1:
            return f"\n{line}\n\n"
        if roll < 0.14:
            return f'{line}  # comment with = and "\n'
        if roll < 0.2 and " " in line:
            place = self._random.choice([index for index, char in enumerate(line) if char == " "])
            joint = self._random.choice(["\\\n", "\n  ", "\n\t", " # inner\n  ", "\\\n   "])
            return f"{line[:place]}{joint}{line[place + 1 :]}\n"
        if roll < 0.22:
            return f"{line}   \t\n"
        if self._oops():
            return self._random.choice([f" {line}\n", f"\n  {line}\n", f"# c\n # d\n{line}\n", f"{line}\\\n\n"])
        return f"{line}\n"

    def _finish(self, text: str) -> bytes:
        roll = self._random.random()
        if roll < 0.1:
            text = text.replace("\n", "\r\n")
        elif roll < 0.15:
            text = text.rstrip("\n")
        data = text.encode()
        if self._oops():
            place = self._random.randint(0, len(data))
            data = (
                data[:place]
                + self._random.choice([b"\xff", b"\x00", b"\\", b'"', b"}", b"${", b"\t", b"\xef\xbb\xbf"])
                + data[place:]
            )
        return data
