"""A gRPC service in Python behind the gateways: names of crates/examples, bytes in and out. It says what it was sent."""

import hashlib
import json

import grpc

BATCH = "transcribe.v1.BatchService"
REALTIME = "transcribe.v1.RealtimeService"
LONGEST = [("grpc.max_receive_message_length", 1 << 22)]


class GrpcService:
    async def start(self):
        self.calls = []
        self.server = grpc.aio.server(options=LONGEST)
        describe = grpc.unary_unary_rpc_method_handler(self._describe)
        batch = {"Describe": describe, "Upload": grpc.stream_unary_rpc_method_handler(self._upload)}
        realtime = {"Describe": describe, "Transcribe": grpc.stream_stream_rpc_method_handler(self._transcribe)}
        self.server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(BATCH, batch), grpc.method_handlers_generic_handler(REALTIME, realtime)]
        )
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()

    async def stop(self):
        await self.server.stop(0)

    def seen(self, mark):
        """The metadata of the calls with this `x-mark`."""
        return [metadata for metadata in self.calls if ("x-mark", mark) in metadata]

    def _called(self, context):
        metadata = [(name, value if isinstance(value, str) else value.hex()) for name, value in context.invocation_metadata()]
        if any(name == "x-mark" for name, _ in metadata):
            self.calls.append(metadata)
        return metadata

    async def _describe(self, request, context):
        return json.dumps({"request": request.hex(), "metadata": self._called(context)}).encode()

    async def _upload(self, requests, context):
        metadata, digest, length = self._called(context), hashlib.sha256(), 0
        async for request in requests:
            digest.update(request)
            length += len(request)
        return json.dumps({"sha256": digest.hexdigest(), "length": length, "metadata": metadata}).encode()

    async def _transcribe(self, requests, context):
        self._called(context)
        async for request in requests:
            yield request
