"""As much of a TextMate engine as the generated grammar needs: lines, the earliest match, begin and end, captures."""

import re


def scopes(grammar, text):
    """Return (line, column, text, scope) of every named stretch, the innermost name last."""
    return list(_Engine(grammar).run(text))


class _Engine:
    def __init__(self, grammar):
        self.grammar = grammar
        self.open = []

    def _rules(self, patterns):
        for rule in patterns:
            if "include" in rule:
                yield from self._rules([self.grammar["repository"][rule["include"][1:]]])
            elif "match" in rule or "begin" in rule:
                yield rule
            else:
                yield from self._rules(rule["patterns"])

    def run(self, text):
        for number, line in enumerate(text.split("\n"), 1):
            at = 0
            while at <= len(line):
                found = self._next(line, at)
                if found is None:
                    break
                rule, match = found
                for start, end, scope in self._named(rule, match):
                    yield number, start + 1, line[start:end], scope
                if rule == "end":
                    self.open.pop()
                elif "begin" in rule:
                    self.open.append((rule, match))
                at = max(match.end(), at + (match.end() == match.start()))

    def _next(self, line, at):
        candidates = []
        if self.open:
            rule, begun = self.open[-1]
            end = re.sub(r"\\(\d)", lambda m: re.escape(begun[int(m[1])]), rule["end"])
            candidates.append(("end", re.compile(end).search(line, at)))
        patterns = self.open[-1][0].get("patterns", []) if self.open else self.grammar["patterns"]
        candidates += [(r, re.compile(r.get("match", r.get("begin"))).search(line, at)) for r in self._rules(patterns)]
        matches = [(rule, match) for rule, match in candidates if match]
        return min(matches, key=lambda pair: pair[1].start(), default=None)

    def _named(self, rule, match):
        if rule == "end":
            yield match.start(), match.end(), self.open[-1][0]["name"]
            return
        if "name" in rule:
            yield match.start(), match.end(), rule["name"]
        for group, capture in rule.get("captures", {}).items():
            if "name" in capture and match[int(group)] is not None:
                yield match.start(int(group)), match.end(int(group)), capture["name"]
