// The same inbox in the Pages Router, which parses bodies unless told not to.
import { toNode } from "nevertwice/node";
import { payments } from "../../nt";

export const config = { api: { bodyParser: false } };
export default toNode(payments.receive);
