import { FolderClock } from "lucide-react";
import type { Metadata } from "next";
import { Card, EmptyState } from "@/components/ui";

export const metadata: Metadata = { title: "Sessions" };

export default function SessionsPage() {
  return (
    <Card>
      <EmptyState icon={FolderClock} title="No session recorded yet" />
    </Card>
  );
}
