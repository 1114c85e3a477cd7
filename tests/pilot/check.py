"""pilotctl and libpilot of pilot 1.18 against the socket of a daemon, which is the argument."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pilotprotocol

DAEMON = sys.argv[1]
BIN = Path(pilotprotocol.__file__).parent / "bin"
URL = "http://127.0.0.1:9/hook"


class World:
    """A home directory, and a daemon that may run in it."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.socket = self.directory / "pilot.sock"
        self.env = {**os.environ, "HOME": directory, "PILOT_SOCKET": str(self.socket)}
        for name in ("PILOT_HOME", "PILOT_WEBHOOK_URL", "XDG_RUNTIME_DIR"):
            self.env.pop(name, None)

    def start(self, *arguments):
        self.log = open(self.directory / "log", "a+")
        command = [DAEMON, "run", "--socket", str(self.socket), *arguments]
        self.daemon = subprocess.Popen(
            command, env=self.env, stdout=subprocess.DEVNULL, stderr=self.log
        )
        limit = time.monotonic() + 10
        while not self.socket.exists():
            assert self.daemon.poll() is None and time.monotonic() < limit, self.said()
            time.sleep(0.01)

    def stop(self):
        self.daemon.terminate()
        assert self.daemon.wait(10) == 0, self.said()

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def ctl(self, *arguments):
        command = [str(BIN / "pilotctl"), "--json", *arguments]
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=30, check=True
        )
        answer = json.loads(done.stdout)
        assert answer["status"] == "ok", answer
        return answer["data"]

    def url(self):
        return self.ctl("info")["webhook"]["url"]


def commands(world):
    """What pilotctl does with a webhook."""
    world.start()
    assert world.ctl("set-webhook", URL) == {"applied": True, "webhook": URL}
    assert world.url() == URL
    # It hides that a URL is refused, so the daemon says it.
    assert world.ctl("set-webhook", "http://169.254.169.254/")["applied"] is False
    assert "webhook that came over the socket is refused: link-local" in world.said()
    assert world.url() == URL
    health = world.ctl("health")
    assert health["status"] == "ok", health
    assert health["webhook_queue_dropped"] == health["webhook_circuit_skips"] == 0, health
    assert world.ctl("disconnect", "7") == {"conn_id": 7}
    world.ctl("clear-webhook")
    assert world.url() == ""
    world.stop()


def persisted(world):
    """The URL that was set last counts after a restart, and the one in pilot's configuration before it."""
    world.start()
    world.ctl("set-webhook", URL)
    world.stop()
    # pilotctl keeps it in the configuration, too.
    configuration = world.directory / ".pilot" / "config.json"
    assert json.loads(configuration.read_text())["webhook"] == URL
    world.ctl("set-webhook", f"{URL}/offline")
    world.start()
    assert world.url() == f"{URL}/offline"
    world.stop()
    configuration.write_text("{}")
    world.start()
    assert world.url() == URL
    world.stop()
    # PILOT_HOME comes before ~/.pilot.
    world.env["PILOT_HOME"] = str(world.directory / "elsewhere")
    world.start()
    assert world.url() == ""
    world.stop()
    del world.env["PILOT_HOME"]


def frames(world):
    """A driver whose frames for the overlay are not answered, or as pilot does, is never given the answer to another one."""
    world.start("--webhook", URL)
    dice = random.Random(1)
    with pilotprotocol.Driver(str(world.socket)) as driver:

        def fails(call, *arguments):
            try:
                call(*arguments)
            except pilotprotocol.PilotError as error:
                return str(error)
            raise AssertionError(f"{call.__name__} went well without an overlay")

        overlay = [
            lambda: driver.send_to("0:0000.0000.0002:7", b"datagram"),
            lambda: driver.disconnect(dice.randrange(1, 9)),
            lambda: fails(driver.dial, "0:0000.0000.0002:7", 0.05),
            lambda: fails(driver.trusted_peers),
        ]
        for _ in range(200):
            dice.choice(overlay)()
            if dice.random() < 0.5:
                assert driver.info()["webhook"]["url"] == URL
            else:
                assert driver.health()["status"] == "ok"
        assert driver.set_webhook(f"{URL}/2")["webhook"] == f"{URL}/2"
        assert "link-local" in fails(driver.set_webhook, "http://169.254.169.254/")
        assert driver.info()["webhook"]["url"] == f"{URL}/2"
    world.stop()


for check in (commands, persisted, frames):
    with tempfile.TemporaryDirectory() as directory:
        check(World(directory))
    print(f"pilot 1.18, {check.__name__}: as pilot's own daemon would answer")
