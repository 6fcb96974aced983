// graphql-request against /graphql: Aegis's documented mutation, a query, an error. Prints what it saw as one line of JSON.

import { GraphQLClient, gql, ClientError } from "graphql-request";

const [address, key, org] = process.argv.slice(2);
const client = new GraphQLClient(`http://${address}/graphql?org=${org}`, { headers: { authorization: `Bearer ${key}` } });

const CREATE = gql`
  mutation CreateWebhook($input: WebhookInput!) {
    createWebhook(input: $input) {
      id
      url
      events
      secret
      active
    }
  }
`;
const input = {
  url: "https://your-app.com/webhooks/aegis",
  events: ["VULNERABILITY_DETECTED", "POAM_OVERDUE", "EVIDENCE_COMPLETED"],
  secret: "your-webhook-secret",
};
const made = (await client.request(CREATE, { input })).createWebhook;
const listed = (await client.request(gql`{ webhooks { id url events active } }`)).webhooks;
const posted = await client.request(
  gql`mutation P($input: EventInput!) { postEvent(input: $input) { id type event { data } } }`,
  { input: { type: "vulnerability.created", data: { title: "T", severity: "low" } } },
);
let refused = null;
try {
  await client.request(CREATE, { input: { ...input, url: "https://10.0.0.1/" } });
} catch (error) {
  if (!(error instanceof ClientError)) throw error;
  refused = error.response.errors[0].extensions.code;
}
let stranger = null;
try {
  await new GraphQLClient(`http://${address}/graphql`).request(gql`{ webhooks { id } }`);
} catch (error) {
  stranger = [error.response.status, error.response.errors[0].extensions.code];
}
console.log(JSON.stringify({ made, listed, posted: posted.postEvent, refused, stranger }));
