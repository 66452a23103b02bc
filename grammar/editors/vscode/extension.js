"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const [command, ...args] = vscode.workspace.getConfiguration("jessyfile").get("command");
  client = new LanguageClient(
    "jessyfile",
    "Jessyfile",
    { command, args },
    { documentSelector: [{ scheme: "file", language: "jessyfile" }] },
  );
  return client.start();
}

function deactivate() {
  return client ? client.stop() : undefined;
}

module.exports = { activate, deactivate };
