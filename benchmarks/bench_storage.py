# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Images from a store that takes 20 ms to answer: a whole batch at once beside one by one."""
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context

from benchmarks.timing import Options, table
from mmips.compat import has_package
from mmips.datasets.fsspec_backend import FsspecBackend

__all__ = ['run']

_LATENCY = 0.02
_BATCH = 64
# About a CIFAR image, and an image of ImageNet at 224 pixels.
_SIZES = {'3 kB': 3_000, '100 kB': 100_000}


def run(options: Options) -> Iterator[str]:
    """The table of ways to fetch a batch."""
    if not has_package('s3fs'):
        yield 'Storage: not measured, s3fs is not installed (pip install s3fs).\n'
        return
    rows, batch = [], 8 if options.tiny else _BATCH
    with _store() as url:
        backend = FsspecBackend(dict(endpoint_url=url, anon=True))
        for name, size in _SIZES.items():
            paths = [f's3://bucket/{size}/{number}.jpg' for number in range(batch)]
            ways: dict[str, Callable[[list[str]], list]] = {
                'one by one (`get`)': lambda paths: list(map(backend.get, paths)),
                '**ours, at once (`get_batch`)**': backend.get_batch}
            seconds = {way: _seconds(fetch, paths, options) for way, fetch in ways.items()}
            slowest = max(seconds.values())
            rows += [[way, name, 1000 * each, batch / each, slowest / each]
                     for way, each in seconds.items()]
    rows.append(['aim for ours', '', '', '', '> 8'])
    yield table(f'{batch} images from a store with {1000 * _LATENCY:.0f} ms latency, by s3fs',
                ['', 'image', 'ms per batch', 'images/s', 'times as fast'], rows)


def _seconds(fetch: Callable[[list[str]], list], paths: list[str], options: Options) -> float:
    """Median seconds of the wall clock, since most of them are spent waiting."""
    taken = []
    for _ in range(options.repeats(12) + 1):
        start = time.perf_counter()
        fetch(paths)
        taken.append(time.perf_counter() - start)
    # The first one connects.
    return statistics.median(taken[1:])


class _Handler(BaseHTTPRequestHandler):
    """Answers ``/bucket/<size>/<name>`` with so many bytes, late."""

    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # noqa: N802
        """What S3 says to GetObject, as far as a client looks at it."""
        time.sleep(_LATENCY)
        body = bytes(int(self.path.split('/')[2]))
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    # All of a batch connect at once.
    request_queue_size = 2 * _BATCH
    daemon_threads = True


@contextmanager
def _store() -> Iterator[str]:
    """URL of a store in a process of its own."""
    with _Server(('127.0.0.1', 0), _Handler) as server:
        process = get_context('fork').Process(target=server.serve_forever, daemon=True)
        process.start()
        try:
            yield f'http://127.0.0.1:{server.server_port}'
        finally:
            process.terminate()
            process.join()
