"""Load by LMTP that remembers every answer; for the programs of this folder."""

import random
import threading

import proof
import wire


class Load:
    """Connections that deliver proof messages until they are told to stop."""

    def __init__(self, lodge, seed, connections=6, sizes=(300, 4_000, 60_000), pause=0.0):
        self.lodge, self.seed, self.sizes, self.pause = lodge, seed, sizes, pause
        self.stopping = threading.Event()
        self.account = proof.Account()
        self.faults = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number):
        rng = random.Random(self.seed * 1000 + number)
        session = 0
        while not self.stopping.is_set():
            session += 1
            try:
                self._session(rng, f"load-{self.seed}-{number}-{session}")
            except wire.Closed:
                self.stopping.wait(0.005)  # nobody listens for a moment: not a busy loop
            except Exception as error:  # a thread's exception would be lost
                self.faults.append(f"session {number}-{session}: {error!r}")
                return

    def _session(self, rng, name):
        client = wire.Client(self.lodge.socket, timeout=60)
        try:
            if client.reply()[0] != 220:
                return
            client.expect(250, "LHLO load.lodge.test")
            for number in range(rng.randint(1, 4)):
                self._transaction(client, rng, f"{name}-{number}")
                self.stopping.wait(self.pause)
            client.expect(221, "QUIT")
        finally:
            client.close()

    def _transaction(self, client, rng, name):
        users = rng.sample(self.lodge.users, rng.randint(1, min(3, len(self.lodge.users))))
        waiting = list(users)
        try:
            transact(client, proof.make(name, rng.choice(self.sizes), rng), waiting, lambda *answer: self._note(name, *answer))
        except wire.Closed:
            for user in waiting:
                self._note(name, user, None, "")
            raise

    def _note(self, name, user, code, text):
        with self.lock:
            self.account.note(name, user, code, text)


def transact(client, message, waiting, note):
    """One transaction, pipelined as Postfix does it. Calls note(user, code, text) and takes
    the user off waiting for each answer that decides about a recipient."""
    def decide(user, code, text):
        waiting.remove(user)
        note(user, code, text)

    commands = ["MAIL FROM:<load@sender.test>", *(f"RCPT TO:<{user}>" for user in waiting), "DATA"]
    client.send("".join(command + "\r\n" for command in commands).encode())
    users = list(waiting)
    mail = client.reply()
    for user in users:
        code, text = client.reply()
        if code != 250 or mail[0] != 250:
            decide(user, *(mail if mail[0] != 250 else (code, text)))
    code, text = client.reply()
    if code != 354:
        for user in list(waiting):
            decide(user, code, text)
        return
    client.body(message)
    for user in list(waiting):
        decide(user, *client.reply())


def send_one(lodge, name, message, users):
    """One message on a connection of its own; the account of its answers."""
    account, waiting = proof.Account(), list(users)
    try:
        client = wire.Client(lodge.socket, timeout=120)
        client.expect(220)
        client.expect(250, "LHLO load.lodge.test")
        transact(client, message, waiting, lambda *answer: account.note(name, *answer))
        client.expect(221, "QUIT")
        client.close()
    except wire.Closed:
        for user in waiting:
            account.note(name, user, None)
    return account
