"""The read-only tools, asked as a client asks them."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

pytest.importorskip("mcp.server.mcpserver")


async def _talk(calls: list[tuple[str, dict[str, Any]]]) -> tuple[list[Any], list[dict[str, Any]]]:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    start = "from verl_env.cli.main import run; run()"
    server = StdioServerParameters(command=sys.executable, args=["-c", start, "mcp"])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        answers = [await session.call_tool(name, arguments) for name, arguments in calls]
        return tools, [json.loads(answer.content[0].text) for answer in answers]  # type: ignore[union-attr]


def test_a_client_asks_them() -> None:
    text = "vllm 0.19.0\nRuntimeError: the moon is in the wrong phase"
    calls = [
        ("doctor_report", {"text": text}),
        ("plan", {"stack": "vllm", "gpu": "h100:8", "driver": "535.288.01"}),
        ("plan", {"stack": "--help"}),
        ("doctor", {"environment": "/nowhere/at/all"}),
    ]

    tools, (unknown, planned, odd, absent) = asyncio.run(asyncio.wait_for(_talk(calls), 120))

    assert {tool.name for tool in tools} == {"probe", "plan", "doctor", "doctor_report", "verify"}
    assert all(tool.annotations.read_only_hint for tool in tools)
    assert (unknown["ok"], unknown["exit_code"]) == (None, 1)
    assert planned["lockset"]
    assert odd["error"]["id"]
    assert absent["error"]["id"] == "environment-not-found"


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from verl_env.cli.main import main

    monkeypatch.setitem(sys.modules, "mcp.server", None)

    assert main(["mcp"]) == 2
    assert "mcp-missing" in capsys.readouterr().err
