import { payments } from "../../../nt";

export const POST = payments.receive;
