"""An S3 store on the loopback that counts what it is asked for, and fails where told to."""
import contextlib
import threading
import time
from collections import Counter
from pathlib import Path

BUCKET = 'bucket'


class ObjectStore:
    """moto behind a WSGI layer of ours; ``faults`` says what befalls an object's next readings.

    Each fault is '500', 'cut' (half of the body), 'stall' (two seconds of silence) or 'denied'.
    """

    def __init__(self):
        from moto.moto_server import werkzeug_app
        from werkzeug.serving import make_server

        class Quiet(werkzeug_app.MotoRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log(self, *args):
                pass

        self.moto = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
        self.faults, self.requests = {}, Counter()
        self.server = make_server('127.0.0.1', 0, self, threaded=True, request_handler=Quiet)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        #: For ``storage_options``.
        self.options = dict(endpoint_url=self.url, key='key', secret='secret')

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __call__(self, environ, start_response):
        method, key = environ['REQUEST_METHOD'], environ['PATH_INFO'].removeprefix(f'/{BUCKET}/')
        kind = 'list' if 'list-type' in environ['QUERY_STRING'] else method
        self.requests[kind] += 1
        fault = self.faults[key].pop(0) if kind == 'GET' and self.faults.get(key) else ''
        if fault in ('500', 'denied'):
            status, code = (('500 Oops', 'InternalError') if fault == '500' else
                            ('403 Forbidden', 'AccessDenied'))
            body = f'<Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
            start_response(status, [('Content-Length', str(len(body)))])
            return [body]
        if fault == 'stall':
            time.sleep(2)
        body = self.moto(environ, start_response)
        if fault == 'cut':
            # Less than Content-Length promises.
            return [(whole := b''.join(body))[:len(whole) // 2]]
        return body

    def put(self, **files):
        """Store bytes by their keys."""
        self._client().pipe({f'{BUCKET}/{key}': content for key, content in files.items()})

    def put_folder(self, folder, prefix):
        """Store all files below a folder; returns the URL of the prefix."""
        self.put(**{f'{prefix}/{path.relative_to(folder).as_posix()}': path.read_bytes()
                    for path in sorted(Path(folder).rglob('*')) if path.is_file()})
        return f's3://{BUCKET}/{prefix}'

    def _client(self):
        import s3fs
        # Anybody may read them, without a key too.
        client = s3fs.S3FileSystem(**self.options, s3_additional_kwargs=dict(ACL='public-read'))
        with contextlib.suppress(FileExistsError):
            client.mkdir(BUCKET)
        return client
