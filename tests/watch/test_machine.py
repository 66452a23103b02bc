"""What the watch does about changes, keys, ended jobs and the budget, without a clock, a disk or a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jessyfile.watch.line import ShownStep, lines
from jessyfile.watch.machine import EndRun, LookAgain, Machine, Quit, Revision, Start

HOUR = 3600.0


def rev(name: str, effect="retrain") -> Revision:
    return Revision(name, effect, f"rank {name}", "14:02")


def test_a_change_starts_at_once_when_nothing_runs():
    machine = Machine()
    assert machine.saved(rev("a"), 0) == [Start(rev("a"))]
    assert machine.running == rev("a")


def test_nothing_starts_when_the_model_is_as_the_recipe_says():
    assert Machine().saved(rev("a", None), 0) == []


def test_a_retrain_waits_behind_the_running_one_and_the_newest_wins():
    machine = Machine()
    machine.saved(rev("a"), 0)
    assert machine.saved(rev("b"), 1) == []
    assert machine.saved(rev("c"), 2) == []
    assert machine.waiting == rev("c")
    assert machine.finished("done", 3) == [LookAgain()]
    assert machine.saved(rev("c"), 3) == [Start(rev("c"))]


def test_going_back_to_what_runs_takes_the_waiting_change_away():
    machine = Machine()
    machine.saved(rev("a"), 0)
    machine.saved(rev("b"), 1)
    machine.saved(rev("a"), 2)
    assert machine.waiting is None
    assert machine.finished("done", 3) == []


def test_going_back_to_what_was_applied_before_waits_for_what_runs():
    """The plan says `no changes` while another revision is being applied; once that is done there is a change again."""
    machine = Machine()
    machine.saved(rev("a"), 0)
    machine.saved(rev("old", None), 1)
    assert machine.finished("done", 2) == [LookAgain()]
    assert machine.saved(rev("old"), 2) == [Start(rev("old"))]


def test_restart_stops_the_running_one_once_and_then_starts_the_newest():
    machine = Machine("restart")
    machine.saved(rev("a"), 0)
    assert machine.saved(rev("b"), 1) == [EndRun()]
    assert machine.saved(rev("c"), 1) == []
    assert machine.finished("interrupted", 2) == [LookAgain()]
    assert machine.saved(rev("c"), 2) == [Start(rev("c"))]


def test_ask_waits_for_the_key_but_not_for_a_repackage():
    machine = Machine("ask")
    assert machine.saved(rev("a"), 0) == []
    assert machine.held(0) == "asked"
    assert machine.key("r", 1) == [Start(rev("a"))]
    machine.finished("done", 2)
    assert machine.saved(rev("b", "repackage"), 3) == [Start(rev("b", "repackage"))]


def test_r_restarts_with_what_waits():
    machine = Machine()
    machine.saved(rev("a"), 0)
    machine.saved(rev("b"), 1)
    assert machine.key("r", 2) == [EndRun()]
    assert machine.key("r", 2) == []
    assert machine.finished("interrupted", 3) == [LookAgain()]


def test_s_skips_what_waits_until_something_else_is_saved():
    machine = Machine("ask")
    machine.saved(rev("a"), 0)
    machine.key("s", 1)
    assert machine.saved(rev("a"), 2) == []
    assert machine.waiting is None
    machine.saved(rev("b"), 3)
    assert machine.waiting == rev("b")


def test_pause_holds_every_start_and_going_on_releases_it():
    machine = Machine()
    machine.key("p", 0)
    assert machine.saved(rev("a", "recheck"), 1) == []
    assert machine.held(1) == "paused"
    assert machine.key("p", 2) == [Start(rev("a", "recheck"))]


def test_q_lets_the_running_one_save_first():
    machine = Machine()
    assert machine.key("q", 0) == [Quit()]
    machine = Machine()
    machine.saved(rev("a"), 0)
    machine.saved(rev("b"), 0)
    assert machine.key("q", 1) == [EndRun()]
    assert machine.finished("interrupted", 2) == [Quit()]


@pytest.mark.parametrize("outcome", ["failed", "withheld", "done"])
def test_what_ended_is_not_started_again_for_a_touch(outcome):
    """A run that failed would fail again: without this, saving the same text twice would train for ever."""
    machine = Machine()
    machine.saved(rev("a"), 0)
    machine.finished(outcome, 1)
    assert machine.saved(rev("a"), 2) == []
    assert machine.saved(rev("b"), 3) == [Start(rev("b"))]
    machine.finished("done", 4)
    assert machine.saved(rev("a"), 5) == [Start(rev("a"))]


def test_an_interrupted_one_may_start_again():
    machine = Machine()
    machine.saved(rev("a"), 0)
    machine.finished("interrupted", 1)
    assert machine.saved(rev("a"), 2) == [Start(rev("a"))]


def test_the_budget_holds_retrains_and_frees_itself():
    machine = Machine(max_retrains=2, per=HOUR)
    for number, name in enumerate("ab"):
        assert machine.saved(rev(name), number * 60.0) == [Start(rev(name))]
        machine.finished("done", number * 60.0 + 1)
    assert machine.saved(rev("c"), 120.0) == []
    assert machine.held(120.0) == "budget"
    assert machine.key("r", 121.0) == []
    assert machine.tick(HOUR - 1) == []
    assert machine.tick(HOUR) == [Start(rev("c"))]


def test_a_repackage_is_no_retrain_of_the_budget():
    machine = Machine(max_retrains=0)
    assert machine.saved(rev("a"), 0) == []
    assert machine.saved(rev("b", "repackage"), 0) == [Start(rev("b", "repackage"))]


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("saved"), st.sampled_from("abc"), st.sampled_from(["retrain", "repackage", "recheck", None])),
        st.tuples(
            st.just("finished"), st.sampled_from(["done", "failed", "interrupted", "stale", "withheld"]), st.none()
        ),
        st.tuples(st.just("key"), st.sampled_from("rspqx"), st.none()),
        st.tuples(st.just("tick"), st.none(), st.none()),
    ),
    max_size=40,
)


@given(EVENTS, st.sampled_from(["queue", "restart", "ask"]), st.sampled_from([None, 0, 1, 2]))
def test_whatever_happens_one_job_runs_and_the_budget_holds(events, policy, budget):
    machine = Machine(policy, max_retrains=budget, per=10.0)
    running, retrains = False, []
    for now, (kind, what, effect) in enumerate(events):
        if kind == "finished" and not running:
            continue
        deeds = {
            "saved": lambda what=what, effect=effect, now=now: machine.saved(rev(what, effect), now),
            "finished": lambda what=what, now=now: machine.finished(what, now),
            "key": lambda what=what, now=now: machine.key(what, now),
            "tick": lambda now=now: machine.tick(now),
        }[kind]()
        running = running and kind != "finished"
        for deed in deeds:
            if isinstance(deed, Start):
                assert not running
                running = True
                if deed.revision.effect == "retrain":
                    retrains.append(now)
            elif isinstance(deed, EndRun):
                assert running
        assert running == (machine.running is not None)
        if budget is not None:
            assert len([start for start in retrains if start > now - 10]) <= budget


def test_the_lines_say_which_revision_runs_and_what_waits(snapshot):
    machine = Machine()
    shown = [lines(machine, "recipes/v2.jessy", 31, None, 0)]
    machine.saved(rev("3f2a"), 0)
    shown.append(lines(machine, "recipes/v2.jessy", 31, ShownStep("train", 212, 337, 840.0), 1))
    machine.saved(rev("81bd"), 2)
    shown.append(lines(machine, "recipes/v2.jessy", 31, ShownStep("train", 213, 337, 830.0), 2))
    machine.key("r", 3)
    shown.append(lines(machine, "recipes/v2.jessy", 31, ShownStep("train", 213, 337, 830.0), 3))
    machine.finished("interrupted", 4)
    machine.saved(rev("81bd", "repackage"), 4)
    shown.append(lines(machine, "recipes/v2.jessy", 1, ShownStep("import"), 4))
    machine.finished("done", 5)
    machine.key("p", 6)
    machine.saved(rev("9c00"), 6)
    shown.append(lines(machine, "recipes/v2.jessy", 31, None, 6))
    assert "\n".join("\n".join(pair) for pair in shown) == snapshot


def test_revisions_that_look_alike_are_not_taken_for_one_another():
    """A revision was known by the four digits that people are shown: one edit in 65,536 counted as already done."""
    machine, one, two = Machine(), rev("3f2a" + "0" * 60), rev("3f2a" + "1" * 60)
    assert machine.saved(one, 0) == [Start(one)]
    machine.finished("done", 1)
    assert machine.saved(two, 2) == [Start(two)]
    assert str(one) == str(two).replace(two.about, one.about)
    assert str(one).startswith("rev 3f2a (")


def test_the_line_says_that_the_budget_is_used_and_when_it_is_free_again():
    machine = Machine(max_retrains=1, per=86400.0)
    machine.saved(rev("a"), 0)
    machine.finished("done", 1)
    machine.saved(rev("b"), 2)
    assert "retrain · budget of 1 per day used, free at " in lines(machine, "x", 1, None, 2)[1]
    machine.max_retrains = 0
    assert "budget of 0 per day used, none allowed" in lines(machine, "x", 1, None, 2)[1]
