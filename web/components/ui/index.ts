export { Badge, type Tone } from "./badge";
export { Button, ButtonLink, IconButton, buttonClass } from "./button";
export { Card } from "./card";
export { Command } from "./command";
export { Dialog } from "./dialog";
export { EmptyState, ErrorState, Skeleton } from "./states";
export { Segmented } from "./segmented";
export { Select } from "./select";
export { cn } from "./cn";
