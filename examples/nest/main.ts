// Nest: one process that receives and works. On Express, as here, or on Fastify: the module is the same.
import "reflect-metadata";
import { Body, Controller, HttpCode, Module, Post } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { report } from "../webhooks/nt.ts";
import { WebhooksModule } from "./webhooks.module.ts";

@Controller("reports")
class Reports {
  @Post()
  @HttpCode(202)
  make(@Body() body: { day: string }) {
    return report.enqueue({ day: body.day });
  }
}

@Module({ imports: [WebhooksModule], controllers: [Reports] })
class AppModule {}

const app = await NestFactory.create(AppModule);
// Without it a SIGTERM ends the process and no hook runs.
app.enableShutdownHooks();
await app.listen(Number(process.env["PORT"]));
console.log("listening", app.getHttpServer().address());
