"""Stands in for Amazon's session-manager-plugin: the same command line, but it forwards to this machine.

Where to is in FORWARD_TO ("host:port"); each start adds a line to the file PLUGIN_LOG.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def _forward(client: socket.socket) -> None:
    host, _, port = os.environ["FORWARD_TO"].rpartition(":")
    try:
        server = socket.create_connection((host, int(port)))
    except OSError:
        client.close()
        return
    for ends in ((client, server), (server, client)):
        threading.Thread(target=_pump, args=ends, daemon=True).start()


def main() -> None:
    """Behave as the plugin does when the AWS command line calls it."""
    if sys.argv[1:] == ["--version"]:
        print("1.2.999.0")
        return
    variable, region, operation, profile, request, endpoint = sys.argv[1:]
    session = json.loads(os.environ[variable])
    asked = json.loads(request)
    record = {"pid": os.getpid(), "session": session, "asked": asked, "argv": sys.argv}
    with Path(os.environ["PLUGIN_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps(record) + "\n")
    if os.environ.get("PLUGIN_FAILS"):
        print("TargetNotReady: the agent sleeps")
        sys.exit(255)
    assert operation == "StartSession"
    assert endpoint == f"https://ssm.{region}.amazonaws.com"
    assert not profile
    port = int(asked["Parameters"]["localPortNumber"][0])
    listener = socket.create_server(("127.0.0.1", port))
    print(f"Port {port} opened for sessionId {session['SessionId']}.\nWaiting for connections...", flush=True)
    while True:
        _forward(listener.accept()[0])


if __name__ == "__main__":
    main()
