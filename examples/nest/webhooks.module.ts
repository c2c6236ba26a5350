import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { HttpAdapterHost } from "@nestjs/core";
import { toNode } from "nevertwice/node";
import { nt, payments } from "../webhooks/nt.ts";

/** Receives and works, for as long as the app is up. */
@Module({})
export class WebhooksModule implements OnApplicationBootstrap, OnApplicationShutdown {
  // Modules are made before Nest mounts its body parsers, so the bytes of these requests are still as they came.
  constructor(@Inject(HttpAdapterHost) host: HttpAdapterHost) {
    host.httpAdapter.use("/hooks/stripe", toNode(payments.receive));
  }

  // Whatever declares consumers in its constructor or in onModuleInit has done so.
  async onApplicationBootstrap(): Promise<void> {
    await nt.start();
  }

  // The last hook: the server has answered its last request. Running handlers end.
  async onApplicationShutdown(): Promise<void> {
    await nt.stop();
  }
}
