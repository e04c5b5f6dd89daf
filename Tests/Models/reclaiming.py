#!/usr/bin/env python3
"""Explores every order of steps of the protocol by which space is reclaimed (docs/decisions/0020-reclaiming.md).

The world: an old pack P holds a chunk that no snapshot needs any more. A backup that wants the chunk finds it in P, in
a copy C that a prune has made, or stores it again in a pack of its own. Prunes condemn P in a numbered list, delete it
in a later run, and may copy what they find needed. A reader has the removed snapshot open. Anybody may crash or sleep
at any step; a clock may jump at any moment, so that a lease counts as silent for a day, or a minimum age as over,
whenever the model likes: no step waits for a time. The store gives what was put, and lists what is there.

Safe: nothing that a finished snapshot needs is gone. Honest: a record that stays and lacks something is unproven.
Fair: where nobody works any more, a further prune can delete P, or copies what is needed of it.
Courteous (only while no lease is passed over): a reader with an open file does not lose it.

usage: reclaiming.py              explores the protocol; status 0 when all holds
       reclaiming.py FAULT        the same with a fault put back; status 1 and the steps that show it
       reclaiming.py --faults     the protocol, and each fault: status 0 when the first holds and each other one is found
       reclaiming.py --names      the faults
"""
import sys
from collections import deque
from typing import NamedTuple

FAULTS = {
    "no-second-proof": "a backup does not look again after it has stored its record",
    "packs-before-list": "a proof looks whether the packs are there first, and at the list of condemned ones then",
    "one-run": "packs are deleted that were condemned after the snapshots had been listed",
    "absent-snapshots": "records that cannot be listed count as none",
    "condemned-is-used": "a proof counts a condemned pack that is there as good",
    "pardon": "a prune takes a pack that is needed after all off the list, in place of copying",
    "list-forgets-early": "a pack leaves the list before it is deleted",
    "overwritten-list": "a list is put although another one was put since the last was read",
    "delete-before-copy": "a pack is deleted before what is needed of it was copied",
    "trust-unproven": "an unproven snapshot whose writer has died counts as finished",
    "reader-keeps": "a reader that names a list does not let go of what it has open",
}

# Where the chunk can be. Each of the two backups has an own pack, "0" and "1"; "C" is what a prune has copied.
P, C = "P", "C"


class Writer(NamedTuple):
    at: str = "new"        # new, begun, found, proving, proven, announced, recorded, looking, done, failed, dead
    uses: str = ""         # the pack in which the chunk is, as this backup believes
    seen: int = 0          # the list that its proof has read
    present: bool = False  # only for a fault: the pack was there when it was looked for
    lease: int = -1        # the list that its lease names; -1 without one
    record: str = ""       # "", unproven, finished


class Pruner(NamedTuple):
    at: str = "idle"       # idle, read, listed, deleting, condemning, copying, ended
    known: int = 0         # the number of the list that it has read
    condemned: frozenset = frozenset()
    needed: frozenset = frozenset()
    runs: int = 0


class Reader(NamedTuple):
    open: bool = True      # has a file of the removed snapshot open, which lies in P
    lease: int = 0
    lost: bool = False


class State(NamedTuple):
    packs: frozenset = frozenset({P})
    number: int = 0
    condemned: frozenset = frozenset()   # of the last list
    first: tuple = ()                    # (pack, number of the list that condemned it first)
    writers: tuple = (Writer(), Writer())
    pruners: tuple = (Pruner(), Pruner())
    reader: Reader = Reader()
    silent: bool = False                 # some lease was passed over
    left: int = 1                        # crashes that may still happen


class World:
    def __init__(self, fault, reader, pruners):
        self.fault = fault
        self.start = State(
            reader=Reader() if reader else Reader(open=False),
            pruners=tuple(Pruner() for _ in range(pruners)),
            writers=(Writer(),) if reader or pruners > 1 else (Writer(), Writer()))

    # What is and what should be

    def needed(self, s, mine=None):
        """Packs that records need, as somebody sees who lists them: whatever a record's chunk can be read from."""
        return frozenset(w.uses for w in s.writers if w.record)

    def broken(self, s):
        for i, w in enumerate(s.writers):
            if w.record == "finished" and w.uses not in s.packs and not self.elsewhere(s, w):
                return f"the snapshot of backup {i + 1} is finished and lacks its chunk"
        if s.reader.lost and not s.silent:
            return "a reader lost what it had open, though it was at work for all to see"
        return None

    def elsewhere(self, s, w):
        """A copy that a prune made for the sake of this chunk: readers try every place."""
        return C in s.packs and w.uses in (P, C)

    # Backups

    def writer_steps(self, s, i):
        w = s.writers[i]

        def put(**change):
            writers = list(s.writers)
            writers[i] = w._replace(**change)
            return s._replace(writers=tuple(writers))

        own = str(i)
        if w.at == "new":
            yield "takes its lease", put(at="begun", lease=s.number)
        elif w.at == "begun":
            # The list as it is now, or as it was at the lease: both are older than the proofs.
            for pack in (C, P):
                if pack in s.packs and pack not in s.condemned:
                    yield f"finds the chunk in {pack}", put(at="found", uses=pack)
                    break
            else:
                yield "stores the chunk", put(at="found", uses=own)._replace(packs=s.packs | {own})
        elif w.at == "found":
            yield "reads the list", put(at="proving", seen=s.number, present=w.uses in s.packs)
        elif w.at == "proving":
            if self.proves(s, w):
                yield "proves before the record", put(at="proven")
            else:
                yield "stores the chunk again", put(at="found", uses=own)._replace(packs=s.packs | {own})
        elif w.at == "proven":
            yield "announces its record", put(at="announced")
        elif w.at == "announced":
            yield "stores its record", put(at="recorded", record="unproven")
        elif w.at == "recorded":
            if self.fault == "no-second-proof":
                yield "ends without a second proof", put(at="done", record="finished", lease=-1)
            elif self.fault == "packs-before-list":
                yield "looks for the pack", put(at="looking", present=w.uses in s.packs, seen=-1)
            else:
                yield "reads the list", put(at="looking", seen=s.number)
        elif w.at == "looking":
            if self.proves(s, w):
                yield "proves after the record, ends", put(at="done", record="finished", lease=-1)
            else:
                yield "takes the record back", put(at="failed", record="", lease=-1)
        if w.at in ("begun", "found", "proving") and w.lease < s.number:
            # A renewal: it names a list only when nothing that it uses is condemned by it.
            if w.uses not in s.condemned:
                yield "renews its lease", put(lease=s.number)
        if w.at not in ("new", "done", "failed", "dead") and s.left:
            yield "dies", put(at="dead")._replace(left=s.left - 1)

    def proves(self, s, w):
        """The second half of a proof: the list was read as of number `seen`, and now the packs are looked for."""
        if self.fault == "packs-before-list":
            return w.present and w.uses not in s.condemned
        condemned = self.fault != "condemned-is-used" and self.condemned_at(s, w.seen, w.uses)
        return not condemned and w.uses in s.packs

    def condemned_at(self, s, number, pack):
        """Whether the list of that number named a pack: `first` remembers from which list to which."""
        begin, end = dict(s.first).get(pack, (number + 1, 0))
        return begin <= number < end

    # Prunes

    def pruner_steps(self, s, i):
        p = s.pruners[i]

        def put(state=s, **change):
            pruners = list(state.pruners)
            pruners[i] = p._replace(**change)
            return state._replace(pruners=tuple(pruners))

        if p.at == "idle" and p.runs < (3 if len(s.pruners) == 1 else 2):
            yield "reads the list", put(at="read", known=s.number, condemned=s.condemned)
        elif p.at == "read":
            needed = frozenset() if self.fault == "absent-snapshots" else self.needed(s)
            yield "lists the snapshots", put(at="listed", needed=needed)
        elif p.at == "listed":
            due = self.due(s, p)
            if due and self.fault == "list-forgets-early" and s.number == p.known:
                yield "takes it off the list", put(
                    self.next_list(s, s.condemned - due), at="deleting", known=s.number + 1)
            elif due:
                holding = self.holding(s, due)
                if not holding:
                    yield "finds it due", put(at="deleting")
                else:
                    # A clock, a suspended machine, a lease that was overlooked: the protocol must not hang on it.
                    yield "passes the leases over", put(s._replace(silent=True), at="deleting")
                yield "waits", put(at="condemning")
            else:
                yield "finds nothing due", put(at="condemning")
        elif p.at == "deleting":
            gone = self.due(s, p) if self.fault != "list-forgets-early" else frozenset({P}) - p.needed
            lost = s.reader.open and P in gone
            reader = s.reader._replace(lost=True, open=False) if lost else s.reader
            yield "deletes it", put(s._replace(packs=s.packs - gone, reader=reader), at="condemning")
        elif p.at == "condemning":
            dead = frozenset(x for x in s.packs if x == P and x not in p.needed and x not in p.condemned)
            gone = frozenset(x for x in p.condemned if x not in s.packs)
            wanted = (p.condemned | dead) - gone
            needed = p.condemned & p.needed & s.packs
            if self.fault == "pardon":
                wanted -= needed
                needed = frozenset()
            after = "copying" if needed else "idle"
            overwrites = self.fault == "overwritten-list" and s.number != p.known
            if wanted == p.condemned and not overwrites:
                yield "has nothing to write", put(at=after, runs=p.runs + 1)
            elif s.number == p.known or overwrites:
                target = put(self.next_list(s, wanted), at=after, runs=p.runs + 1, known=s.number + 1, condemned=wanted)
                if self.fault == "one-run" and dead:
                    target = put(self.next_list(s, wanted), at="deleting", runs=p.runs + 1, known=s.number + 1,
                                 condemned=wanted)
                yield "writes the next list", target
            else:
                yield "is told that another was faster", put(at="idle", runs=p.runs + 1)
        elif p.at == "copying":
            if self.fault == "delete-before-copy":
                yield "deletes what it has not copied", put(s._replace(packs=s.packs - {P}), at="idle")
            elif P in s.packs:
                yield "copies what is needed", put(s._replace(packs=s.packs | {C}), at="idle")
            else:
                yield "finds nothing to copy", put(at="idle")
        if p.at not in ("idle", "ended") and s.left:
            yield "dies", put(s._replace(left=s.left - 1), at="ended")
        if p.at == "idle":
            # A writer is certainly gone, or silent for a day: its record is proven or taken back.
            for j, w in enumerate(s.writers):
                if w.at == "dead" and w.record == "unproven":
                    whole = (w.uses in s.packs and w.uses not in s.condemned) or C in s.packs
                    if self.fault == "trust-unproven" or whole:
                        change = w._replace(record="finished", uses=w.uses if w.uses in s.packs else C)
                        if self.fault == "trust-unproven":
                            change = w._replace(record="finished")
                    elif w.uses in s.packs:
                        continue
                    else:
                        change = w._replace(record="")
                    writers = list(s.writers)
                    writers[j] = change
                    yield f"settles the record of backup {j + 1}", s._replace(writers=tuple(writers))

    def next_list(self, s, wanted):
        number = s.number + 1
        history = dict(s.first)
        for pack in wanted:
            if pack not in history or history[pack][1] <= s.number:
                history[pack] = (number, 99)
        for pack in history:
            if pack not in wanted and history[pack][1] == 99:
                history[pack] = (history[pack][0], number)
        return s._replace(number=number, condemned=wanted, first=tuple(sorted(history.items())))

    def due(self, s, p):
        """Condemned by a list that could be seen before the snapshots were listed, and not needed by any of them."""
        return frozenset(x for x in p.condemned if x in s.packs and x not in p.needed)

    def holding(self, s, due):
        first = min(dict(s.first)[x][0] for x in due)
        writers = [w for w in s.writers if w.lease >= 0 and w.lease < first]
        return writers or (s.reader.open and s.reader.lease < first)

    # Readers

    def reader_steps(self, s):
        r = s.reader
        if r.open:
            yield "closes its file", s._replace(reader=r._replace(open=False))
            if self.fault == "reader-keeps" and r.lease < s.number:
                yield "names the list", s._replace(reader=r._replace(lease=s.number))
        elif r.lease < s.number and self.start.reader.open:
            yield "names the list", s._replace(reader=r._replace(lease=s.number))

    def steps(self, s):
        for i in range(len(s.writers)):
            for what, n in self.writer_steps(s, i):
                yield f"backup {i + 1} {what}", n
        for i in range(len(s.pruners)):
            for what, n in self.pruner_steps(s, i):
                yield f"prune {i + 1} {what}", n
        for what, n in self.reader_steps(s):
            yield f"the reader {what}", n

    def unfair(self, s):
        """Nobody works any more: two further runs, alone, must bring the space back."""
        needed = self.needed(s)
        quiet = s._replace(
            writers=tuple(w._replace(lease=-1) for w in s.writers), reader=s.reader._replace(open=False), left=0,
            pruners=(Pruner(),))
        alone = World(self.fault, False, 1)
        for _ in range(24):
            following = [n for what, n in alone.pruner_steps(quiet, 0) if what not in ("waits", "dies")]
            if not following:
                break
            quiet = following[0]
        return P in quiet.packs and P not in needed and not any(w.uses == P and w.record for w in s.writers)

    def explore(self):
        came = {self.start: None}
        queue = deque([self.start])
        while queue:
            s = queue.popleft()
            problem = self.broken(s)
            following = list(self.steps(s))
            if not problem and not following and self.unfair(s):
                problem = "nobody works any more, and unneeded space never comes back"
            if problem:
                trail = []
                while came[s]:
                    s, what = came[s]
                    trail.append(what)
                return len(came), problem, trail[::-1]
            for what, n in following:
                if n not in came:
                    came[n] = (s, what)
                    queue.append(n)
        return len(came), None, []


WORLDS = [("two backups and a prune", False, 1), ("a backup and two prunes", False, 2),
          ("a backup, a reader and a prune", True, 1)]


def explore(fault, is_loud):
    """Whether a fault was found, or, without one, something else."""
    for name, reader, pruners in WORLDS:
        states, problem, trail = World(fault, reader, pruners).explore()
        if problem:
            if is_loud:
                print(f"{name}: {problem}, after {states} states:")
                print("\n".join("  " + step for step in trail))
            return True
        if is_loud:
            print(f"{name}: {states} states, all of them sound")
    return False


def main():
    arguments = sys.argv[1:]
    if arguments == ["--names"]:
        for name, what in FAULTS.items():
            print(f"{name:20} {what}")
        return 0
    if arguments == ["--faults"]:
        if explore("", True):
            return 1
        missed = [fault for fault in FAULTS if not explore(fault, False)]
        for fault in missed:
            print(f"the fault {fault} is not found: {FAULTS[fault]}")
        print(f"{len(FAULTS) - len(missed)} of {len(FAULTS)} faults are found when they are put back")
        return 1 if missed else 0
    if len(arguments) > 1 or any(fault not in FAULTS for fault in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    return 1 if explore(arguments[0] if arguments else "", True) else 0


if __name__ == "__main__":
    sys.exit(main())
