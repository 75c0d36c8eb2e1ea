import { Cpu } from "lucide-react";
import type { Metadata } from "next";
import { Card, EmptyState } from "@/components/ui";

export const metadata: Metadata = { title: "Sources" };

export default function SourcesPage() {
  return (
    <Card>
      <EmptyState icon={Cpu} title="No source has reported yet" />
    </Card>
  );
}
