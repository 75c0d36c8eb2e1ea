import hooks from "eslint-plugin-react-hooks";
import ts from "typescript-eslint";

export default ts.config(
  { ignores: [".next/**", "out/**", "next-env.d.ts", "scripts/**", "bench/dist/**"] },
  ...ts.configs.strict,
  hooks.configs.flat.recommended,
  { rules: { "@typescript-eslint/no-non-null-assertion": "off" } },
);
