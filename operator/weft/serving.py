"""What a process serves besides kopf's liveness probe: its numbers, and whether it is ready."""

from __future__ import annotations

from aiohttp import web

from weft.metrics import Metrics
from weft.sharded import Sharded
from weft.single import Single


async def serve(replica: Single | Sharded, metrics: Metrics, *, port: int) -> web.AppRunner:
    """Serve `/metrics` and `/readyz` until the runner is cleaned up. Ready is who knows the cluster, leading or not."""

    async def numbers(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": metrics.content_type})

    async def ready(_: web.Request) -> web.Response:
        synced = replica.feed.synced
        told = {"synced": synced, "leading": replica.leading, "shards": replica.shards}
        return web.json_response(told, status=200 if synced else 503)

    app = web.Application()
    app.add_routes([web.get("/metrics", numbers), web.get("/readyz", ready)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()
    return runner
