import { Compass } from "lucide-react";
import { ButtonLink, Card, EmptyState } from "@/components/ui";

export default function NotFound() {
  return (
    <Card>
      <EmptyState icon={Compass} title="There is no such page" action={<ButtonLink href="/">Open the live page</ButtonLink>}>
        The address may be old, or mistyped.
      </EmptyState>
    </Card>
  );
}
