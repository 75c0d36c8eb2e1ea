import { LivePage } from "@/components/live/live-page";

export default function Page() {
  return <LivePage />;
}
