export { Badge, type Tone } from "./badge";
export { Button, ButtonLink, IconButton, buttonClass } from "./button";
export { Card } from "./card";
export { cn } from "./cn";
export { Segmented } from "./segmented";
export { Select } from "./select";
export { EmptyState, ErrorState, Skeleton } from "./states";
