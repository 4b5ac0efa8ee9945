/** `deit analyze`: what the paper looks at beside accuracy; a file for each question. */
import type { Command } from "commander";
import { addAblationCommand } from "./ablation.ts";
import { addAgreementCommand } from "./agreement.ts";
import { addAttentionCommand } from "./attention.ts";
import { addLabelsCommand } from "./labels.ts";
import { addProbeCommand } from "./probe.ts";
import { addThroughputCommand } from "./throughput.ts";
import { addTokensCommand } from "./tokens.ts";

export function addAnalyzeCommand(program: Command): void {
  const analyze = program
    .command("analyze")
    .description(
      "Look at models as the paper does: ablation (Tables 2, 3, 8, 9), agreement (Table 4), attention (where it looks), labels (why hard labels teach), probe (what features are worth), throughput (Table 5), tokens (class against distillation token).",
    );
  addAblationCommand(analyze);
  addAgreementCommand(analyze);
  addAttentionCommand(analyze);
  addLabelsCommand(analyze);
  addProbeCommand(analyze);
  addThroughputCommand(analyze);
  addTokensCommand(analyze);
}
