// Prints Clerk's own SDK's reading of claims, as JSON lines of {claims, orgId, orgRole, orgPermissions}:
// random session tokens of version 2, and a few of version 1.
// usage: node clerk_organizations.mjs SEED COUNT
import { __experimental_JWTPayloadToAuthObjectProperties as read } from "@clerk/shared/jwtPayloadParser";
import { random } from "./random.mjs";

const [seed, count] = process.argv.slice(2).map(Number);
const { below, times, pick } = random(seed);

const mask = () => pick([
  String(below(8)),
  "0",
  "00" + below(64),
  times(1 + below(60), () => below(10)).join(""),
  "",
  "x",
]);

function version2() {
  const claims = { v: 2, sub: "user_" + below(1000), sid: "sess_1", sts: "active", pla: "o:pro" };
  if (below(5)) {
    claims.fea = times(1 + below(6), (i) => `${pick(["o", "u", "ou", "uo"])}:feature${i}`).join(pick([",", ", "]));
  }
  if (below(6)) {
    claims.o = { id: "org_" + below(1000), slg: "acme" };
    if (below(5)) claims.o.rol = pick(["admin", "member", "billing_manager"]);
    if (below(5)) claims.o.per = times(1 + below(200), (i) => `permission${i}`).join(pick([",", ", "]));
    if (below(5)) claims.o.fpm = times(1 + below(6), mask).join(",");
  }
  return claims;
}

const version1 = () => ({
  sub: "user_" + below(1000),
  org_id: "org_" + below(1000),
  org_role: pick(["org:admin", "org:member"]),
  org_permissions: times(below(4), (i) => `org:feature${i}:read`),
});

for (let i = 0; i < count; i++) {
  const claims = below(10) ? version2() : version1();
  const { orgId, orgRole, orgPermissions } = read(claims);
  console.log(JSON.stringify({ claims, orgId, orgRole, orgPermissions }));
}
