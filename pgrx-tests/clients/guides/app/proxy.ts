import { clerkMiddleware } from "@clerk/nextjs/server";
import { authkitMiddleware } from "@workos-inc/authkit-nextjs";
import { NextResponse, type NextFetchEvent, type NextRequest } from "next/server";

const middleware = { clerk: clerkMiddleware({ jwtKey: process.env.CLERK_JWT_KEY }), workos: authkitMiddleware() };

export default function proxy(request: NextRequest, event: NextFetchEvent) {
  const provider = request.nextUrl.pathname.split("/")[1] as keyof typeof middleware;
  return middleware[provider]?.(request, event) ?? NextResponse.next();
}
