// snyk-api-ts-client against /v1/org/…/webhooks: its Org.webhooks(). Address and token come by its own variables.

const { Org } = require("snyk-api-ts-client");

const org = new Org({ orgId: process.argv[2] });
const body = { url: "https://my.app.com/webhook-handler/snyk123", secret: "a8be22bb7bed43a3ac24de3580093560" };

(async () => {
  const made = await org.webhooks().post(body);
  const listed = await org.webhooks().get();
  const one = org.webhooks({ webhookId: made.id });
  const shown = await one.get();
  const { status: pinged } = await one.ping.post();
  const { status: deleted } = await one.delete();
  const gone = await one.get().then(() => null, (error) => String(error.name || error));
  console.log(JSON.stringify({ made, listed, shown, pinged, deleted, gone }));
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
