// The example's module on Nest's Fastify adapter; copied beside the example.
import "reflect-metadata";
import { Body, Controller, HttpCode, Injectable, Module, type OnModuleInit, Post } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { nt, report } from "../webhooks/nt.ts";
import { WebhooksModule } from "./webhooks.module.ts";

@Controller("reports")
class Reports {
  @Post()
  @HttpCode(202)
  make(@Body() body: { day: string }) {
    return report.enqueue({ day: body.day });
  }
}

/** Handlers that need what Nest injects are declared before the workers start. */
@Injectable()
class Mails implements OnModuleInit {
  onModuleInit(): void {
    nt.on("mail", { consumer: "mail" }, () => {});
  }
}

@Module({ imports: [WebhooksModule], controllers: [Reports], providers: [Mails] })
class AppModule {}

const app = await NestFactory.create(AppModule, new FastifyAdapter());
app.enableShutdownHooks();
await app.listen(Number(process.env["PORT"]));
console.log("listening", app.getHttpServer().address());
