"""Fetching from the internet, and from nowhere else: real servers on loopback, a rule that lets one address pass."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web

from hub.errors import FetchFailed, FetchRefused, RequestError, TooLarge
from hub.fetch import IP, Fetched, Fetcher, is_public
from tests.platforms.discord.certificate import HOSTS, Identity

OPEN = "127.0.0.1"
INSIDE = "127.0.0.2"
"""Stands for an address of somebody's network: nothing may reach it."""


class Names:
    """A name server: what each name answers, one answer a look-up, the last one for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        label = host.partition(".")[0]
        if label not in self._answers:
            raise OSError("no such name")
        answers = self._answers[label]
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Site:
    """A server on every loopback address that records what reached it, and on which address."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.gate = asyncio.Event()

    def url(self, path: str, host: str = "page.example") -> str:
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.seen.append((request.transport.get_extra_info("sockname")[0], request.path))
        self.headers.append(dict(request.headers))
        match request.path:
            case "/endless":
                return await self._endless(request)
            case "/slow":
                await self.gate.wait()
                return web.Response(text="late")
            case "/go":
                return web.Response(status=302, headers={"Location": request.query["to"]})
            case path:
                return PAGES.get(path, partial(web.Response, status=404))()

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * 65536)
        return response


PAGES: dict[str, Callable[[], web.Response]] = {
    "/text": partial(web.Response, text="grüße", content_type="Text/Plain", charset="latin-1"),
    "/file": partial(
        web.Response,
        body=b"%PDF",
        content_type="application/pdf",
        headers={"Content-Disposition": 'attachment; filename="../../etc/plan.pdf"'},
    ),
    "/bomb": partial(
        web.Response,
        body=gzip.compress(b"\0" * 4_000_000),
        headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"},
    ),
    "/announced": partial(web.Response, body=b"x" * 2_000_000),
    "/nowhere": partial(web.Response, status=302),
    "/round": partial(web.Response, status=307, headers={"Location": "/round"}),
    "/cookie": partial(web.Response, status=302, headers={"Location": "/text", "Set-Cookie": "session=1; Path=/"}),
}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    site.port = runner.addresses[0][1]
    yield site
    site.gate.set()
    await runner.cleanup()


def fetcher(names: Names | None = None, *, most: int = 1_000_000, seconds: float = 30.0) -> Fetcher:
    return Fetcher(most=most, seconds=seconds, resolve=names or Names(page=[[OPEN]], other=[[INSIDE]]), allow=allowed)


def allowed(address: IP) -> bool:
    """Only loopback's first address is the internet of these tests."""
    return address == ip_address(OPEN)


async def test_a_page_comes_with_its_type_charset_and_bytes(site: Site) -> None:
    found = await fetcher().get(site.url("/text#part"))
    assert found == Fetched(
        url=site.url("/text"),
        media_type="text/plain",
        charset="latin-1",
        data="grüße".encode("latin-1"),
        name="text",
    )


async def test_a_file_has_the_name_its_sender_gives_it_without_folders(site: Site) -> None:
    found = await fetcher().get(site.url("/file"))
    assert (found.name, found.media_type, found.data) == ("plan.pdf", "application/pdf", b"%PDF")


async def test_an_address_in_the_url_is_fetched_without_a_look_up(site: Site) -> None:
    names = Names()
    assert (await fetcher(names).get(site.url("/text", OPEN))).name == "text"
    assert names.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example/text",
        f"http://{INSIDE}/text",
        "http://[::1]/text",
        "http://[::ffff:127.0.0.1]/text",
        "http://[64:ff9b::7f00:1]/text",
        "http://0.0.0.0/text",
        "http://\uff11\uff12\uff17.0.0.2/text",
    ],
)
async def test_what_is_not_public_is_refused_before_anything_is_sent(site: Site, url: str) -> None:
    with pytest.raises(FetchRefused, match="no public address") as refused:
        await fetcher().get(url.replace("/text", f":{site.port}/text"))
    assert refused.value.code == "not_public"
    assert site.seen == []


@pytest.mark.parametrize("host", ["2130706434", "0x7f.2", "127.2", "0177.0.0.2"])
async def test_addresses_in_other_notations_do_not_slip_through(site: Site, host: str) -> None:
    """A resolver reads these as 127.0.0.2; where the name server knows none of them, they are no host."""
    inside = Names(**{host.partition(".")[0]: [[INSIDE]]})
    with pytest.raises(RequestError):
        await fetcher(inside).get(site.url("/text", host))
    open_one = Names(**{host.partition(".")[0]: [[OPEN]]})
    with suppress(RequestError):
        await fetcher(open_one).get(site.url("/text", host))
    assert INSIDE not in [address for address, _ in site.seen]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://page.example/x",
        "file:///etc/passwd",
        "data:text/plain,hi",
        "gopher://page.example",
        "/path",
        "",
        "http://",
    ],
)
async def test_only_http_and_https_are_fetched(url: str) -> None:
    with pytest.raises(FetchRefused) as refused:
        await fetcher().get(url)
    assert refused.value.code == "bad_url"


@pytest.mark.parametrize("userinfo", ["anna:secret@", "anna@", ":secret@"])
async def test_credentials_in_a_url_are_refused_and_not_repeated(site: Site, userinfo: str) -> None:
    with pytest.raises(FetchRefused, match="user name or password") as refused:
        await fetcher().get(site.url("/text").replace("http://", f"http://{userinfo}"))
    assert "secret" not in str(refused.value)
    assert site.seen == []


async def test_redirects_are_followed_and_each_is_judged_anew(site: Site) -> None:
    good = await fetcher().get(site.url(f"/go?to={site.url('/go?to=/text')}"))
    assert good.url == site.url("/text")
    before = len(site.seen)
    for target in (site.url("/text", "other.example"), site.url("/text", INSIDE), "file:///etc/passwd"):
        with pytest.raises(FetchRefused):
            await fetcher().get(site.url(f"/go?to={target}"))
    assert [path for _, path in site.seen[before:]] == ["/go"] * 3


async def test_a_redirect_to_credentials_is_refused(site: Site) -> None:
    target = site.url("/text").replace("http://", "http://anna:secret@")
    with pytest.raises(FetchRefused):
        await fetcher().get(site.url(f"/go?to={target}"))


async def test_redirects_have_an_end(site: Site) -> None:
    with pytest.raises(FetchFailed, match="5 redirects"):
        await fetcher().get(site.url("/round"))
    assert len(site.seen) == 6


async def test_a_redirect_to_nowhere_is_an_error(site: Site) -> None:
    with pytest.raises(FetchFailed, match="redirects to nowhere"):
        await fetcher().get(site.url("/nowhere"))


async def test_a_name_that_changes_its_mind_leads_nowhere(site: Site) -> None:
    """DNS rebinding: a first look-up that passes, then one that points inside."""
    names = Names(page=[[OPEN], [INSIDE]])
    await fetcher(names).get(site.url("/text"))
    assert names.asked == ["page.example"]
    assert site.seen == [(OPEN, "/text")]
    with pytest.raises(FetchRefused):
        await fetcher(names).get(site.url("/text"))
    assert len(site.seen) == 1


async def test_of_several_addresses_only_public_ones_are_connected_to(site: Site) -> None:
    await fetcher(Names(page=[[INSIDE, OPEN, INSIDE]])).get(site.url("/text"))
    assert site.seen == [(OPEN, "/text")]


async def test_reading_stops_at_the_limit(site: Site) -> None:
    with pytest.raises(TooLarge, match="more than"):
        await fetcher(most=100_000).get(site.url("/endless"))


async def test_an_announced_length_over_the_limit_is_not_read(site: Site) -> None:
    with pytest.raises(TooLarge):
        await fetcher().get(site.url("/announced"))
    assert len((await fetcher(most=2_000_000).get(site.url("/announced"))).data) == 2_000_000


async def test_a_compressed_bomb_counts_by_what_it_becomes(site: Site) -> None:
    with pytest.raises(TooLarge):
        await fetcher().get(site.url("/bomb"))


async def test_a_server_that_does_not_answer_is_left_in_time(site: Site) -> None:
    with pytest.raises(FetchFailed, match="within"):
        await fetcher(seconds=0.2).get(site.url("/slow"))


async def test_what_is_not_there_is_told_by_its_status(site: Site) -> None:
    with pytest.raises(FetchFailed, match="status 404"):
        await fetcher().get(site.url("/missing?token=secret"))


async def test_a_host_that_does_not_exist_or_refuses_is_told(site: Site) -> None:
    with pytest.raises(FetchFailed, match="There is no host"):
        await fetcher().get("http://gone.example/")
    with pytest.raises(FetchFailed, match="could not be read"):
        await fetcher().get("http://page.example:1/")


async def test_proxies_of_the_environment_are_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{INSIDE}:{site.port}")
    await fetcher().get(site.url("/text"))
    assert site.seen == [(OPEN, "/text")]


async def test_nothing_of_ours_is_sent_along(site: Site) -> None:
    await fetcher().get(site.url("/cookie"))
    assert [path for _, path in site.seen] == ["/cookie", "/text"]
    assert not {"Cookie", "Authorization", "Referer"} & {name for headers in site.headers for name in headers}


async def test_a_certificate_nobody_vouches_for_is_an_error(tmp_path: Path) -> None:
    async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(leave, OPEN, 0, ssl=Identity(tmp_path).context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        names = Names(discord=[[OPEN]])
        with pytest.raises(FetchFailed, match="CertificateError"):
            await fetcher(names).get(f"https://{HOSTS[0]}:{port}/")


async def test_the_guard_of_every_day_refuses_this_machine(site: Site) -> None:
    for host in ("localhost", OPEN, "[::1]"):
        with pytest.raises(FetchRefused):
            await Fetcher().get(site.url("/text", host))
    assert site.seen == []


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700:4700::1111"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.192",
        "192.88.99.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_all_other_addresses_are_not(address: str) -> None:
    assert not is_public(ip_address(address))
