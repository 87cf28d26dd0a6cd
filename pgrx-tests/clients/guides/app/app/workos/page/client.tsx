"use client";
import { useInsforge } from "../../../lib/workos_browser";

export function Client() {
  return <p>{typeof useInsforge().database.from}</p>;
}
