"""A server that takes mail on loopback, as RFC 5321 has it: STARTTLS, TLS from the start, AUTH PLAIN and LOGIN.

It keeps what it has taken. A reply of `fail` is given in place of its own, once each.
"""

import asyncio
import base64
import ssl
import threading
from collections import defaultdict
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Self

LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class Taken:
    """A mail, with its envelope, whether it came over TLS, and who was signed in."""

    sender: str
    recipients: list[str]
    mail: EmailMessage
    tls: bool
    user: str


@dataclass
class _Session:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tls: bool
    user: str = ""
    sender: str = ""
    recipients: list[str] | None = None

    async def reply(self, text: str) -> None:
        self.writer.write(f"{text}\r\n".encode())
        await self.writer.drain()

    async def line(self) -> str:
        return (await self.reader.readline()).decode().rstrip("\r\n")


class Smtp:
    """A server. `accounts` are passwords by user: with any, mail is taken only of those who signed in."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        accounts: dict[str, str] | None = None,
        implicit: bool = False,
        mechanisms: str = "PLAIN LOGIN",
    ) -> None:
        self.taken: list[Taken] = []
        self.refuses: dict[str, str] = {}  # the replies to recipients that get no mail
        self.cut_after_data = 0  # how many connections are cut after a mail was taken, before the reply
        self._mechanisms = mechanisms
        self._context, self._accounts, self._implicit = context, accounts or {}, implicit
        self._failures: dict[str, list[str]] = defaultdict(list)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def fail(self, command: str, *replies: str) -> None:
        """Scripts the replies to the next commands of a name, such as DATA."""
        self._failures[command].extend(replies)

    def __enter__(self) -> Self:
        self._thread.start()
        tls = self._context if self._implicit else None
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls, limit=LONGEST_LINE)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(reader, writer, self._implicit)
        try:
            await session.reply("220 mail.example.com ESMTP")
            while line := await session.line():
                command, _, rest = line.partition(" ")
                if not await self._answer(session, command.upper(), rest):
                    break
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _answer(self, session: _Session, command: str, rest: str) -> bool:
        """Answers a command; returns whether the connection stays."""
        if self._failures[command]:
            await session.reply(self._failures[command].pop(0))
            return True
        match command:
            case "EHLO" | "HELO":
                offers = ["mail.example.com", "8BITMIME", "SMTPUTF8"]
                offers += ["STARTTLS"] if self._context and not session.tls else []
                offers += [f"AUTH {self._mechanisms}"] if self._accounts and (session.tls or not self._context) else []
                for offer in offers[:-1]:
                    await session.reply(f"250-{offer}")
                await session.reply(f"250 {offers[-1]}")
            case "STARTTLS" if self._context and not session.tls:
                await session.reply("220 ready")
                await session.writer.start_tls(self._context)
                session.tls = True
            case "AUTH":
                await self._sign_in(session, *rest.partition(" ")[::2])
            case "MAIL" if self._accounts and not session.user:
                await session.reply("530 5.7.0 Authentication required")
            case "MAIL":
                session.sender, session.recipients = _address(rest), []
                await session.reply("250 2.1.0 Ok")
            case "RCPT" if _address(rest) in self.refuses:
                await session.reply(self.refuses[_address(rest)])
            case "RCPT" if session.recipients is not None:
                session.recipients.append(_address(rest))
                await session.reply("250 2.1.5 Ok")
            case "DATA" if session.recipients:
                return await self._take(session)
            case "RSET" | "NOOP":
                await session.reply("250 2.0.0 Ok")
            case "QUIT":
                await session.reply("221 2.0.0 Bye")
                return False
            case _:
                await session.reply("503 5.5.1 Bad sequence of commands")
        return True

    async def _sign_in(self, session: _Session, mechanism: str, initial: str) -> None:
        if mechanism == "PLAIN":
            _, user, password = base64.b64decode(initial).decode().split("\0")
        else:
            user = base64.b64decode(initial).decode()
            await session.reply(f"334 {base64.b64encode(b'Password:').decode()}")
            password = base64.b64decode(await session.line()).decode()
        if self._accounts.get(user) != password:
            await session.reply("535 5.7.8 Authentication credentials invalid")
            return
        session.user = user
        await session.reply("235 2.7.0 Authentication successful")

    async def _take(self, session: _Session) -> bool:
        await session.reply("354 End data with <CR><LF>.<CR><LF>")
        lines = []
        while (line := await session.reader.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b".") else line)
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.taken.append(Taken(session.sender, session.recipients or [], mail, session.tls, session.user))
        session.recipients = None
        if self.cut_after_data:
            self.cut_after_data -= 1
            return False
        await session.reply("250 2.0.0 Ok: queued")
        return True


def _address(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]
