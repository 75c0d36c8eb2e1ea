"use client";

import { Activity, Cpu, FolderClock } from "lucide-react";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { cn } from "@/components/ui";
import { Shortcuts } from "./shortcuts";
import { ThemeToggle } from "./theme-toggle";

const PAGES = [
  { href: "/", label: "Live", icon: Activity },
  { href: "/sessions/", label: "Sessions", icon: FolderClock },
  { href: "/sources/", label: "Sources", icon: Cpu },
] as const;

function Mark() {
  return (
    <svg viewBox="0 0 24 24" className="size-6" aria-hidden fill="none" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round">
      <path className="stroke-power" d="M2 17c3 0 4-3 6.5-3s3.5 2 6.5 2 4-2.5 7-2.5" />
      <path className="stroke-latency" d="M2 11h4l2.5-6 4 10 2.8-7 1.7 3H22" />
    </svg>
  );
}

/** The bar of every page: who we are, where to go, the theme. */
export function Header() {
  const path = usePathname();
  return (
    <header className="sticky top-0 z-30 border-b border-hairline bg-surface backdrop-blur-xl">
      <a href="#main" className="sr-only rounded-control bg-solid px-3 py-2 focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-40">
        Skip to content
      </a>
      <div className="mx-auto flex h-14 max-w-[140rem] items-center gap-3 px-4 sm:gap-6 sm:px-6">
        <Link href="/" className="flex items-center gap-2 rounded-control font-semibold tracking-tight" aria-label="BenchLab, live page">
          <Mark />
          <span className="hidden text-title sm:inline">BenchLab</span>
        </Link>
        <nav aria-label="Pages" className="flex flex-1 items-center gap-1">
          {PAGES.map(({ href, label, icon: Icon }) => {
            const here = href === "/" ? path === "/" : path.startsWith(href.slice(0, -1));
            return (
              <Link
                key={href}
                href={href}
                aria-current={here ? "page" : undefined}
                className={cn(
                  "flex h-9 items-center gap-2 rounded-control px-2.5 font-medium transition-colors duration-150 sm:px-3",
                  here ? "bg-info-soft text-ink" : "text-ink-2 hover:text-ink",
                )}
              >
                <Icon aria-hidden className="hidden size-4 min-[400px]:block" />
                {label}
              </Link>
            );
          })}
        </nav>
        <div className="flex items-center gap-1">
          <Shortcuts />
          <ThemeToggle />
        </div>
      </div>
    </header>
  );
}
