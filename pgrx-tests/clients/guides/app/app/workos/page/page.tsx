import { AuthKitProvider } from "@workos-inc/authkit-nextjs/components";
import { Client } from "./client";

export default function Page() {
  return <AuthKitProvider><Client /></AuthKitProvider>;
}
