"""The command lines of `weir bench`, as the measurements use it: requests as they are given, figures as JSON."""

import json
import subprocess

import echo_request as echo


def url(address, scheme="http"):
    """What a server's address and port, or `unix:` and a path, are to the command."""
    return address if address.startswith("unix:") else f"{scheme}://{address}{echo.PATH}"


def time(seconds):
    """A length of time as the command reads it."""
    return f"{round(seconds * 1000)}ms"


def command(weir, address, body, headers, *options, scheme="http"):
    """Sends the body in this file again and again, with these headers; further options are the command's own."""
    words = [weir, "bench", url(address, scheme), "--json"]
    if body is not None:
        words += ["--body", body]
    for name, value in headers.items():
        words += ["--header", f"{name}: {value}"]
    return [*words, *map(str, options)]


def run(words, **how):
    """The figures."""
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True, **how).stdout)
