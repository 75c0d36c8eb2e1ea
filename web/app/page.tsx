import { Activity } from "lucide-react";
import { Card, EmptyState } from "@/components/ui";

export default function LivePage() {
  return (
    <Card>
      <EmptyState icon={Activity} title="No session yet" />
    </Card>
  );
}
