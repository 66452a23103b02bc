"""`jessy serve`: promoted models behind OpenAI's and Ollama's HTTP interfaces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jessyfile.commands.common import sending_options, tagged
from jessyfile.commands.say import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jessyfile.serve.service import Service

_PORT = 11435  # beside Ollama's 11434


@click.command()
@click.argument("name", nargs=-1, metavar="[NAME]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=_PORT, show_default=True, help="The port; 0 for a free one."
)
@click.option(
    "--key-file",
    type=click.Path(),
    help="A file with the API key that clients must send; JESSY_SERVE_KEY holds one, too.",
)
@click.option("--anyone", is_flag=True, help="Let everybody who reaches the address ask without a key.")
@click.option("--host-name", multiple=True, metavar="NAME", help="A further name that the server is called by.")
@click.option(
    "--allow-origin",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin ask, as in https://chat.example.org.",
)
@click.option(
    "--queue",
    type=click.IntRange(0, 10_000),
    default=32,
    show_default=True,
    help="How many questions may wait for a model.",
)
@click.option("--max-tokens", type=click.IntRange(1, 100_000), default=1024, show_default=True, help="Longest answer.")
@click.option(
    "--answer-seconds",
    type=click.FloatRange(1, 86_400),
    default=300.0,
    show_default=True,
    help="Longest time of an answer.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0, 3600),
    default=30.0,
    show_default=True,
    help="Seconds that answers have once it is stopped.",
)
@click.option(
    "--ears",
    default="whisper-base",
    show_default=True,
    metavar="NAME",
    help="What hears recordings, as in `jessy voice`; loaded when first asked unless it is named here.",
)
@click.option("--voice", default="kokoro", show_default=True, metavar="NAME", help="What speaks, likewise.")
@click.option(
    "--language", default="tr", show_default=True, metavar="CODE", help="What is spoken where a client says nothing."
)
@click.option("--log-words", is_flag=True, help="Write questions and answers into the access log, too.")
@sending_options
def serve(
    name: tuple[str, ...],
    host: str,
    port: int,
    key_file: str | None,
    anyone: bool,
    host_name: tuple[str, ...],
    allow_origin: tuple[str, ...],
    queue: int,
    max_tokens: int,
    answer_seconds: float,
    grace: float,
    ears: str,
    voice: str,
    language: str,
    log_words: bool,
    allow_host: tuple[str, ...],
) -> None:
    """Serve promoted models to the clients of OpenAI and Ollama, until Ctrl-C. Without NAME every promoted model is served.

    NAME may carry a tag: jessy:candidate is what the last apply made, promoted or not. A model that is promoted later is taken without a
    pause.
    """
    from jessyfile.commands.history import here
    from jessyfile.serve.assembly import assembled
    from jessyfile.serve.house import ServedName
    from jessyfile.serve.served import loader
    from jessyfile.serve.server import address_of, is_local, listening, run
    from jessyfile.serve.settings import Access, Limits, api_key, require_consent
    from jessyfile.serve.voice_desk import usual_voice

    del allow_host  # it stands in the environment, where a ROUTE is asked
    wanted = tuple(dict.fromkeys(ServedName(*tagged(one, None)) for one in name))
    access = Access(api_key(key_file), tuple(one.lower() for one in (*host_name, host)), allow_origin)
    limits = Limits(queue=queue, tokens=max_tokens, answer=answer_seconds, grace=grace)
    for line in require_consent(host, is_local(host), access, anyone):
        click.echo(line, err=True)
    root, speaks = here(), usual_voice(ears, voice, language, queue)
    speaks.load(ears=_is_named("ears"), mouth=_is_named("voice"))
    with listening(host, port) as listener:
        service = assembled(root, wanted, loader(root, max_tokens), limits, access, log_words=log_words, voice=speaks)
        service.house.open()
        say("\n".join(_first_lines(service, address_of(listener))))
        run(service, listener)
    click.echo("stopped")


def _is_named(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE


def _voice_line() -> str:
    from jessyfile.voice.extra import INSTALL, is_installed

    given = click.get_current_context().params
    if not is_installed():
        return f"none: {INSTALL}"
    return f"{Path(given['ears']).name} hears, {Path(given['voice']).name} speaks ({given['language']})"


def _first_lines(service: Service, url: str) -> Iterator[str]:
    for facts in service.house.facts:
        kind = " ".join(part for part in (facts.family, facts.quantization) if part)
        yield f"{facts.called} · {facts.digest[:12]} · {kind or facts.engine} · since {facts.since[:10]}"
    yield ""
    yield f"OpenAI   {url}/v1"
    yield f"Ollama   {url}"
    yield f"voice    {_voice_line()}"
    yield f"key      {'needed: Authorization: Bearer …' if service.access.key else 'none'}"
    words = "with what was asked and answered" if service.log_words else "without words"
    yield f"Ctrl-C stops it; each request is logged to the standard error as a line of JSON, {words}"
