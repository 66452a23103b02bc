"""`jessy lsp`: the protocol's requests, each answered by the module that knows. Nothing runs code or opens a network.

Texts are sent whole at every change: a recipe is small, and there is no second idea of what its lines are.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from jessyfile import __version__
from jessyfile.editors.completion import Scene, Suggestion, complete
from jessyfile.editors.hover import hover_text
from jessyfile.editors.lsp.navigate import Symbol, definition, outline
from jessyfile.editors.lsp.positions import Positions
from jessyfile.editors.lsp.rename import Refusal, rename, renamed_at
from jessyfile.editors.lsp.workspace import Workspace
from jessyfile.errors import RecipeError
from jessyfile.language.source import SourceFile

if TYPE_CHECKING:
    from jessyfile.language.diagnostics import Diagnostic

DEBOUNCE = 0.2
_SEVERITY = {"error": types.DiagnosticSeverity.Error, "warning": types.DiagnosticSeverity.Warning}
_KINDS = {
    "instruction": types.CompletionItemKind.Keyword,
    "setting": types.CompletionItemKind.Property,
    "value": types.CompletionItemKind.EnumMember,
    "name": types.CompletionItemKind.Reference,
    "variable": types.CompletionItemKind.Variable,
    "word": types.CompletionItemKind.Keyword,
    "file": types.CompletionItemKind.File,
}


class JessyServer(LanguageServer):
    """The server with the texts that are open in the editor."""

    def __init__(self) -> None:
        super().__init__("jessy", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.recipes = Workspace()
        self._uris: dict[Path, str] = {}
        self._published: set[Path] = set()
        self._pending: asyncio.TimerHandle | None = None

    # texts

    def take(self, uri: str, text: str) -> None:
        """Remember an open file's text; the line ends that the editor counts are the language's too."""
        path = path_of(uri)
        self._uris[path] = uri
        self.recipes.buffers[path] = text

    def forget(self, uri: str) -> None:
        """Forget a file that was closed: from now on the disk has it."""
        self.recipes.buffers.pop(path_of(uri), None)

    def file(self, uri: str) -> SourceFile:
        """Return a file's text. Raises JsonRpcInvalidParams when it cannot be read."""
        file = self.recipes.source(path_of(uri))
        if file is None:
            raise JsonRpcInvalidParams(f"{uri} cannot be read")
        return file

    def positions(self, file: SourceFile) -> Positions:
        """Return a text's places in the units that the editor chose."""
        encoding = self.workspace.position_encoding
        return Positions(file, str(getattr(encoding, "value", None) or encoding or "utf-16"))

    def uri(self, path: Path) -> str:
        """Return a file's address, as the editor wrote it when it has it open."""
        return self._uris.get(path) or uris.from_fs_path(str(path)) or path.as_uri()

    # diagnostics

    def check_soon(self) -> None:
        """Check once typing rests."""
        if self._pending:
            self._pending.cancel()
        self._pending = asyncio.get_running_loop().call_later(DEBOUNCE, self.check_now)

    def check_now(self) -> None:
        """Publish what is to say about every open file, and take back what was said about others."""
        found = self.recipes.diagnostics()
        for path in self._published - set(found):
            found[path] = ()
        self._published = {path for path, diagnostics in found.items() if diagnostics}
        for path, diagnostics in found.items():
            items = [self._diagnostic(path, diagnostic) for diagnostic in diagnostics]
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(self.uri(path), items))

    def _diagnostic(self, path: Path, diagnostic: Diagnostic) -> types.Diagnostic:
        file = self.recipes.source(path) or SourceFile(path.name, "")
        helps = [f"help: {text}" for text in diagnostic.helps] + [f"note: {text}" for text in diagnostic.notes]
        return types.Diagnostic(
            range=self.positions(file).place(diagnostic.place),
            message="\n".join([diagnostic.message, *helps]),
            severity=_SEVERITY[diagnostic.severity],
            code=diagnostic.code,
            source="jessy",
            related_information=self._related(path, diagnostic),
            data={"fix": diagnostic.fix} if diagnostic.fix is not None else None,
        )

    def _related(self, path: Path, diagnostic: Diagnostic) -> list[types.DiagnosticRelatedInformation] | None:
        second = diagnostic.second
        if second is None:
            return None
        other = self.recipes.project(path).root / second.file
        file = self.recipes.source(other)
        if file is None:
            return None
        where = types.Location(self.uri(other), self.positions(file).place(second))
        return [types.DiagnosticRelatedInformation(where, second.label or "here")]


def path_of(uri: str) -> Path:
    """Return the resolved path of a file's address."""
    return Path(os.path.realpath(uris.to_fs_path(uri) or uri))


server = JessyServer()


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def did_open(ls: JessyServer, params: types.DidOpenTextDocumentParams) -> None:
    """Check a file when it is opened."""
    ls.take(params.text_document.uri, params.text_document.text)
    ls.check_now()


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def did_change(ls: JessyServer, params: types.DidChangeTextDocumentParams) -> None:
    """Take the new text, and check it once typing rests."""
    uri = params.text_document.uri
    ls.take(uri, ls.workspace.get_text_document(uri).source)
    ls.check_soon()


@server.feature(types.TEXT_DOCUMENT_DID_SAVE)
def did_save(ls: JessyServer, _: types.DidSaveTextDocumentParams) -> None:
    """Check again: other files may have changed on the disk meanwhile."""
    ls.check_now()


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def did_close(ls: JessyServer, params: types.DidCloseTextDocumentParams) -> None:
    """Forget a file, and check those that name it against the disk."""
    ls.forget(params.text_document.uri)
    ls.check_now()


@server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
def did_change_files(ls: JessyServer, _: types.DidChangeWatchedFilesParams) -> None:
    """Check again when a file changed outside the editor."""
    ls.check_soon()


@server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["{", "$", '"', "/"]))
def completion(ls: JessyServer, params: types.CompletionParams) -> types.CompletionList:
    """Say what may be written here."""
    file = ls.file(params.text_document.uri)
    positions = ls.positions(file)
    offset = positions.offset(params.position)
    found = complete(_scene(ls, file), offset)
    place = types.Range(positions.position(offset - len(found.word)), params.position)
    snippets = _has_snippets(ls)
    items = [_item(one, place, at, snippets=snippets) for at, one in enumerate(found.suggestions)]
    return types.CompletionList(is_incomplete=False, items=items)


def _scene(ls: JessyServer, file: SourceFile) -> Scene:
    if file.path is None:
        return Scene(file.text)
    others = (other.text for path, other in ls.recipes.file_set(file.path).items() if path != file.path)
    return Scene(file.text, file.path.parent, tuple(others))


def _has_snippets(ls: JessyServer) -> bool:
    text = ls.client_capabilities.text_document
    item = text.completion.completion_item if text and text.completion else None
    return bool(item and item.snippet_support)


def _item(one: Suggestion, place: types.Range, at: int, *, snippets: bool) -> types.CompletionItem:
    snippet = one.snippet if snippets else None
    plain = types.InsertTextFormat.PlainText
    return types.CompletionItem(
        label=one.label,
        kind=_KINDS[one.kind],
        detail=one.detail or None,
        documentation=types.MarkupContent(types.MarkupKind.Markdown, one.documentation) if one.documentation else None,
        sort_text=f"{at:04}",
        insert_text_format=types.InsertTextFormat.Snippet if snippet else plain,
        text_edit=types.TextEdit(place, snippet or one.label),
    )


@server.feature(types.TEXT_DOCUMENT_HOVER)
def hover(ls: JessyServer, params: types.HoverParams) -> types.Hover | None:
    """Say what the table says about a word."""
    file = ls.file(params.text_document.uri)
    positions = ls.positions(file)
    found = hover_text(file, positions.offset(params.position))
    if found is None:
        return None
    text, span = found
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), positions.range(span))


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def formatting(ls: JessyServer, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    """Lay a recipe out; one with mistakes of form stays as it is."""
    from jessyfile.language.format import format_text

    file = ls.file(params.text_document.uri)
    try:
        text = format_text(file.text, name=file.name)
    except RecipeError as error:
        ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, error.message))
        return None
    return [] if text == file.text else [types.TextEdit(ls.positions(file).everything(), text)]


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def go_to_definition(ls: JessyServer, params: types.DefinitionParams) -> types.Location | None:
    """Go to a name's declaration, a level, or the file that a path names."""
    file = ls.file(params.text_document.uri)
    target = definition(ls.recipes, file, ls.positions(file).offset(params.position))
    if target is None:
        return None
    start = types.Range(types.Position(0, 0), types.Position(0, 0))
    place = ls.positions(target.span.file).range(target.span) if target.span else start
    return types.Location(ls.uri(target.path), place)


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def document_symbol(ls: JessyServer, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    """Return the outline."""
    file = ls.file(params.text_document.uri)
    positions = ls.positions(file)
    return [_symbol(symbol, positions) for symbol in outline(file)]


def _symbol(symbol: Symbol, positions: Positions) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=symbol.name,
        kind=types.SymbolKind.Class if symbol.has_block else types.SymbolKind.Property,
        range=positions.range(symbol.whole),
        selection_range=positions.range(symbol.head),
        detail=symbol.detail,
        children=[_symbol(inner, positions) for inner in symbol.children],
    )


@server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
def prepare_rename(ls: JessyServer, params: types.PrepareRenameParams) -> types.Range:
    """Return the name that would be renamed, or refuse with the reason."""
    file = ls.file(params.text_document.uri)
    positions = ls.positions(file)
    try:
        return positions.range(renamed_at(file, positions.offset(params.position)).span)
    except Refusal as refusal:
        raise JsonRpcInvalidParams(str(refusal)) from refusal


@server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
def rename_name(ls: JessyServer, params: types.RenameParams) -> types.WorkspaceEdit:
    """Rename an ARG or a LET wherever it stands, or refuse with the reason."""
    file = ls.file(params.text_document.uri)
    try:
        edits = rename(ls.recipes, file, ls.positions(file).offset(params.position), params.new_name)
    except Refusal as refusal:
        raise JsonRpcInvalidParams(str(refusal)) from refusal
    changes = {
        ls.uri(path): [types.TextEdit(ls.positions(span.file).range(span), params.new_name) for span in spans]
        for path, spans in edits.items()
    }
    return types.WorkspaceEdit(changes=changes)


@server.feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions([types.CodeActionKind.QuickFix]))
def code_action(_: JessyServer, params: types.CodeActionParams) -> list[types.CodeAction]:
    """Offer the fix of every diagnostic that has one."""
    found = (diagnostic for diagnostic in params.context.diagnostics if diagnostic.source == "jessy")
    fixes = ((one, one.data.get("fix") if isinstance(one.data, dict) else None) for one in found)
    return [_fix(params.text_document.uri, one, fix) for one, fix in fixes if isinstance(fix, str)]


def _fix(uri: str, diagnostic: types.Diagnostic, fix: str) -> types.CodeAction:
    edit: Any = types.WorkspaceEdit(changes={uri: [types.TextEdit(diagnostic.range, fix)]})
    title = f"Replace with `{fix}`" if fix.strip() else "Delete it" if not fix else "Replace with a space"
    return types.CodeAction(title, types.CodeActionKind.QuickFix, [diagnostic], is_preferred=True, edit=edit)


def _is_failure(record: logging.LogRecord) -> bool:
    """Whether a log record tells of more than a refusal, which the editor shows itself."""
    return not (record.exc_info and isinstance(record.exc_info[1], JsonRpcInvalidParams))


def serve() -> None:
    """Speak with one editor over standard input and output until it leaves."""
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_failure)
    server.start_io()
