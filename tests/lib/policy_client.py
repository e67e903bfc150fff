"""tests/lib/policy_client.py - asks as Postfix's smtpd(8) does: one connection, kept."""

import socket


def request(recipient, state="RCPT", size=1, **attributes):
    lines = {"request": "smtpd_access_policy", "protocol_state": state, "protocol_name": "ESMTP",
             "client_address": "192.0.2.1", "client_name": "mail.test.example", "helo_name": "test.example",
             "sender": "test@test.example", "recipient": recipient, "size": size, **attributes}
    return "".join(f"{name}={value}\n" for name, value in lines.items()) + "\n"


class PolicyClient:
    """One connection; retries, if any, once on a new one, as smtpd_policy_service_try_limit has it."""

    def __init__(self, path, retries=0, timeout=60):
        self.path, self.retries, self.timeout = path, retries, timeout
        self.socket = None
        self.connect()

    def connect(self):
        self.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(self.timeout)
        self.socket.connect(self.path)
        self.file = self.socket.makefile("rb")

    def close(self):
        if self.socket:
            self.file.close()
            self.socket.close()

    def send(self, text):
        self.socket.sendall(text.encode())

    def answer(self):
        """The action of the next answer; "" when the connection has ended."""
        line = self.file.readline().decode()
        if line == "":
            return ""
        empty = self.file.readline().decode()
        assert line.startswith("action=") and empty == "\n", (line, empty)
        return line[len("action="):-1]

    def ask(self, recipient, **attributes):
        for attempt in range(self.retries + 1):
            try:
                self.send(request(recipient, **attributes))
                action = self.answer()
            except OSError:
                action = ""
            if action or attempt == self.retries:
                return action
            self.connect()

    def has_ended(self):
        """Waits until the server has closed."""
        return self.file.read(1) == b""
