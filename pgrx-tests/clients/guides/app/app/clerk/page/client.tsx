"use client";
import { useInsforge } from "../../../lib/clerk_browser";

export function Client() {
  return <p>{typeof useInsforge().database.from}</p>;
}
