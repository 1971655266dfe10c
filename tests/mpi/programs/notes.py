"""Notes between ranks: all arrive, once, and nobody burns a core while waiting."""

from __future__ import annotations

import sys
import time

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()

from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402

ROUNDS = 3


def check(condition, *details):
    if not condition:
        raise AssertionError(details)


def refused(send, *arguments):
    try:
        send(*arguments)
    except ValueError as error:
        return "note" in str(error)
    return False


def main() -> int:
    team = world_team()
    mailbox = team.mailbox()
    check(refused(mailbox.send, team.rank, (1,)))
    check(refused(mailbox.send, team.size, (1,)))
    if team.size > 1:
        check(refused(mailbox.send, (team.rank + 1) % team.size, (1, 2, 3, 4)))
    for turn in range(ROUNDS):
        others = [rank for rank in range(team.size) if rank != team.rank]
        got, looks = [], []

        def look(got=got, looks=looks, turn=turn, others=others):
            # sent by a rank that waits already: it may reach one that has stopped to look
            if not looks:
                for rank in others:
                    mailbox.send(rank, (turn, team.rank))
            looks.append(1)
            got.extend(mailbox.receive())

        for rank in others[::2]:
            mailbox.send(rank, (turn, team.rank, 7))
        time.sleep(0.05 * team.rank)
        began, cpu = time.monotonic(), time.process_time()
        if team.rank == 0 and turn == 0 and team.size > 1:
            time.sleep(1.0)
        got += mailbox.meet(look if team.rank else None)
        if turn == 0 and team.rank and time.monotonic() - began > 0.8:
            check(time.process_time() - cpu < 0.4, "spins", time.process_time() - cpu)
        late = sorted(sender for number, sender, word in got if word == 0)
        early = sorted(sender for number, sender, word in got if word == 7)
        check(all(number == turn for number, _, _ in got), got)
        check(late == [rank for rank in others if rank], late)
        mine = [sender for sender in others if team.rank in [r for r in range(team.size) if r != sender][::2]]
        check(early == mine, early, mine)
        check(mailbox.receive() == [])
        team.wait()
    mailbox.close()
    print("good", flush=True)
    return 0


sys.exit(run_guarded(main))
