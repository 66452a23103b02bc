"use strict";
// The conversation. What people and models say is only ever set as text, never as markup.

const at = (id) => document.getElementById(id);
const [log, question, note, main] = [at("log"), at("question"), at("note"), document.querySelector("main")];
const LEVELS = ["low", "medium", "high"]; // which have a word of their own; a recipe may have others
let turns = []; // what the server is sent: {role, content}
let running = null; // the AbortController of the answer under way

function make(kind, properties = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function say(text, bad = false) {
  note.textContent = text;
  note.classList.toggle("bad", bad);
}

function follow() {
  if (main.scrollHeight - main.scrollTop - main.clientHeight < 160) main.scrollTop = main.scrollHeight;
}

function told(facts) {
  const level = LEVELS.includes(facts.level) ? word(facts.level) : facts.level;
  const seconds = facts.seconds.toLocaleString(LANGUAGE, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const parts = [level, `${facts.iterations} ${word(facts.iterations === 1 ? "iteration" : "iterations")}`, `${seconds} ${word("seconds")}`];
  if (facts.as_it_stands) parts.push(word("stands"));
  if (facts.ended !== "full" && word(facts.ended)) parts.push(word(facts.ended));
  if (facts.fallback) parts.push(`${word("fallback")}: ${facts.speaker}`);
  if (facts.forgotten) parts.push(word("forgot"));
  return parts.filter(Boolean).join(" · ");
}

class Answer {
  constructor() {
    this.text = make("p", { className: "text" });
    this.thoughts = make("pre");
    this.drafts = make("details", { hidden: true }, make("summary", { textContent: word("drafts") }), this.thoughts);
    this.facts = make("p", { className: "facts", textContent: word("thinking") });
    this.box = make("article", { className: "hers", "aria-label": "jessy", "aria-busy": "true" }, this.drafts, this.text, this.facts);
    log.append(this.box);
    this.told = null;
  }

  take(chunk) {
    const delta = chunk.choices[0]?.delta || {};
    if (delta.reasoning_content) {
      this.thoughts.append(delta.reasoning_content);
      this.drafts.hidden = false;
    }
    if (delta.content) this.text.append(delta.content);
    if (chunk.jessy) this.told = chunk.jessy;
    follow();
  }

  end() {
    this.box.removeAttribute("aria-busy");
    this.facts.textContent = this.told ? told(this.told) : word("cut");
    if (!this.text.textContent) this.text.append(`(${word("nothing")})`);
    const rows = this.told?.retrieved || [];
    if (rows.length) {
      const list = make("pre", { textContent: rows.map((row) => `${row.id.slice(0, 8)} (${row.score.toFixed(2)})`).join("\n") });
      this.box.append(make("details", {}, make("summary", { textContent: word("rows") }), list));
    }
  }
}

function judged(answer, model, asked) {
  const deeds = make("div", { className: "deeds" });
  const send = async (signal, more = {}) => {
    try {
      const facts = answer.told || {};
      await ask("/jessy/feedback", {
        signal, model, messages: asked, answer: answer.text.textContent, source: "page",
        digest: facts.model_digest, level: facts.level, iterations: facts.iterations, ...more,
      });
      say(word("kept"));
      return true;
    } catch (error) {
      failed(error);
      return false;
    }
  };
  const press = (name, signal) => {
    const button = make("button", { type: "button", textContent: word(name), "aria-pressed": "false" });
    button.addEventListener("click", async () => {
      if (!(await send(signal))) return;
      for (const other of deeds.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
    });
    return button;
  };
  const edit = make("button", { type: "button", textContent: word("edit") });
  edit.addEventListener("click", () => {
    if (answer.box.querySelector(".edit")) return;
    const better = make("textarea", { rows: 3, value: answer.text.textContent, "aria-label": word("better") });
    const save = make("button", { type: "button", textContent: word("save") });
    const cancel = make("button", { type: "button", textContent: word("cancel") });
    const form = make("div", { className: "edit" }, better, make("div", { className: "deeds" }, save, cancel));
    const close = () => {
      form.remove();
      edit.focus();
    };
    save.addEventListener("click", async () => {
      const chosen = better.value.trim();
      if (chosen && (await send("edit", { chosen }))) close();
    });
    cancel.addEventListener("click", close);
    answer.box.append(form);
    better.focus();
  });
  const again = make("button", { type: "button", textContent: word("again") });
  again.addEventListener("click", async () => {
    if (running) return;
    const last = asked.at(-1).content;
    const index = turns.findIndex((turn) => turn === asked.at(-1));
    if (index >= 0) turns = turns.slice(0, index);
    await answered(last);
  });
  deeds.append(press("good", "up"), press("bad", "down"), edit, again);
  answer.box.append(deeds);
}

function failed(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) {
    at("key").showModal();
    return;
  }
  if (error.status === 429) say(word("busy"), true);
  else say(error instanceof Refused ? error.message : word("lost"), true);
}

function working(controller) {
  running = controller;
  at("stop").hidden = controller === null;
  at("send").hidden = controller !== null;
}

async function answered(text) {
  const model = at("model").value;
  const asked = [...turns, { role: "user", content: text }];
  turns = asked;
  log.append(make("article", { className: "mine", "aria-label": word("you") }, make("p", { className: "text", textContent: text })));
  const answer = new Answer();
  main.scrollTop = main.scrollHeight;
  say("");
  const controller = new AbortController();
  working(controller);
  const effort = at("thought").value;
  let whole = true;
  try {
    for await (const chunk of chunks({ model, messages: asked, ...(effort ? { reasoning_effort: effort } : {}) }, controller.signal)) answer.take(chunk);
  } catch (error) {
    whole = error.name === "AbortError";
    failed(error);
  }
  working(null);
  const said = answer.text.textContent;
  if (!whole && !said) {
    answer.box.remove();
    log.lastElementChild?.remove();
    turns = asked.slice(0, -1);
    question.value = question.value || text; // what was typed is not lost
    grow();
    return;
  }
  answer.end();
  turns = [...asked, { role: "assistant", content: said }];
  judged(answer, model, asked);
  follow();
}

function grow() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight + 2}px`;
}

async function models() {
  try {
    const found = (await (await ask("/v1/models")).json()).data.map((one) => one.id);
    at("model").replaceChildren(...found.map((name) => make("option", { value: name, textContent: name })));
    say(found.length ? "" : word("no_models"), !found.length);
  } catch (error) {
    failed(error);
  }
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || running) return;
  question.value = "";
  grow();
  answered(text).then(() => question.focus());
});
question.addEventListener("input", grow);
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("ask").requestSubmit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running) running.abort();
});
at("stop").addEventListener("click", () => running?.abort());
at("new").addEventListener("click", () => {
  running?.abort();
  turns = [];
  log.replaceChildren();
  say(word("ready"));
  question.focus();
});
at("key").addEventListener("close", () => {
  sessionStorage.setItem("key", at("key-value").value);
  at("key-value").value = "";
  models();
});
models();
