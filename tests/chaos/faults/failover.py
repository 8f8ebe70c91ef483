"""A replica of Redis is promoted, and later the first server again: A → B → A. Neither process restarts, which is why a run id would not show it."""

import time

from faults import Fault


class Failover(Fault):
    """inject: B is promoted and gets all connections, behind A or in step with it. heal: A follows B, is promoted and gets them back."""

    def __init__(self, stage, rng, seconds=None, stale=None):
        super().__init__(stage, rng)
        self.seconds = seconds or rng.uniform(2, 6)
        self.stale = rng.random() < 0.5 if stale is None else stale
        self.name = "failover to a stale replica and back" if self.stale else "failover and back"

    def inject(self):
        stage = self.stage
        with stage.store_lock, stage.redis() as first:
            second = stage.replica()
            second.follow(second.client, stage.base_port + 79, stage.secret("redis.password"))
            assert second.synchronised(second.client, first), "the replica does not follow"
            if self.stale:  # it hears nothing for a while: what A decides meanwhile, B does not know
                second.client.execute_command("REPLICAOF", "NO", "ONE")
                time.sleep(self.rng.uniform(0.3, 1.5))
            second.client.execute_command("REPLICAOF", "NO", "ONE")
            stage.proxies["redis"].switch(second.port)

    def heal(self):
        stage = self.stage
        with stage.store_lock, stage.redis() as first:
            second = stage.replica()
            second.follow(first, second.port, stage.secret("redis.password"))
            second.synchronised(first, second.client)
            first.execute_command("REPLICAOF", "NO", "ONE")
            stage.proxies["redis"].switch(stage.base_port + 79)

