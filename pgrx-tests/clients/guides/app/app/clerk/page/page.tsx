import { ClerkProvider } from "@clerk/nextjs";
import { Client } from "./client";

export default function Page() {
  return <ClerkProvider><Client /></ClerkProvider>;
}
