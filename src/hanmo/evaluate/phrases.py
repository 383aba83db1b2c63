"""The fixed words of a run's report, in English and Chinese."""

from hanmo.base.page import Language
from hanmo.base.phrases import Phrases
from hanmo.plan.estimate import ASSUMPTIONS

WORDS: dict[str, tuple[str, str]] = {
    "title": ("Run", "训练报告"),
    "result": ("Result", "结果"),
    "curves": ("Learning curves", "学习曲线"),
    "samples": ("Samples", "样例"),
    "plan": ("Forecast and fact", "预测与实际"),
    "data": ("Data", "数据"),
    "again": ("How to make it again", "如何重现"),
    "model": ("model", "模型"),
    "bits_per_byte": ("bits per byte", "每字节比特数"),
    "perplexity": ("perplexity a token", "每词元困惑度"),
    "word_perplexity": ("perplexity a word", "每词困惑度"),
    "difference": ("{reference} minus this", "{reference} 减该模型"),
    "p_value": ("p", "p 值"),
    "parameters": ("parameters", "参数"),
    "minutes": ("minutes", "分钟"),
    "peak_memory_bytes": ("peak memory", "内存峰值"),
    "disk_bytes": ("disk", "磁盘"),
    "money": ("money", "费用"),
    "energy_kwh": ("energy, kWh", "能耗（千瓦时）"),
    "what": ("what", "项目"),
    "forecast": ("forecast", "预测"),
    "fact": ("fact", "实际"),
    "error": ("error", "误差"),
    "uniform": ("uniform", "均匀分布"),
    "unigram": ("unigram", "一元模型"),
    "kneser-ney": ("Kneser-Ney", "Kneser-Ney"),
    "lstm": ("LSTM", "LSTM"),
    "gru": ("GRU", "GRU"),
    "transformer": ("Transformer", "Transformer"),
    "best": (
        "On held-out text the {reference} needs fewer bits than every other model, and each paired 95 % interval leaves out zero.",
        "在留出文本上，{reference} 所需比特数少于其他所有模型，且每个配对 95 % 区间均不含零。",
    ),
    "not_best": (
        "On held-out text the {reference} is not shown to be better than: {names}.",
        "在留出文本上，未能证明 {reference} 优于：{names}。",
    ),
    "measured_on": (
        "Measured on {documents} held-out documents, {bytes} bytes; intervals are drawn over {units} units of text ({unit}).",
        "在 {documents} 篇留出文档（{bytes} 字节）上测得；区间由 {units} 个文本单元（{unit}）自助重抽样得到。",
    ),
    "measured_rows": (
        "Measured on rows of held-out text; intervals are drawn over {units} rows.",
        "在留出文本的各行上测得；区间由 {units} 行自助重抽样得到。",
    ),
    "paired_loss": (
        "Differences are paired: the same rows under both models; below zero, the {reference} is better. p-values are for "
        "all comparisons together (Holm).",
        "差值为配对比较：两个模型在相同的行上相减，小于零表示 {reference} 更好；p 值已按 Holm 方法对全部比较作校正。",
    ),
    "objective_definition": (
        "Loss: mean −ln p of the tokens that were hidden or cut out, in nats; accuracy: share of them that are the likeliest "
        "token. Neither is the probability of a text. Unigram says of every token how often it was asked for in training.",
        "损失：被遮盖或剪去的词元的平均 −ln p（nat）；准确率：其中概率最大者恰为正确词元的比例。"
        "两者都不是文本的概率。一元模型只报告各词元在训练中被问到的频率。",
    ),
    "pseudo_definition": (
        "Pseudo-perplexity: exp(mean −ln p) over tokens of held-out beginnings, each hidden alone (Salazar et al. 2020).",
        "伪困惑度：对留出文本开头的词元逐一遮盖，取 exp(平均 −ln p)（Salazar 等 2020）。",
    ),
    "few_units": (
        "With so few units no p-value can be below {least}, however far apart two models are: read the intervals.",
        "单元如此之少，无论两个模型相差多远，p 值都不会低于 {least}：请看区间。",
    ),
    "accuracy": ("accuracy", "准确率"),
    "pseudo_perplexity": ("pseudo-perplexity", "伪困惑度"),
    "document": ("documents", "文档"),
    "passage": ("passages", "段落"),
    "definition": (
        "{definition}",
        "每字节比特数：全部文本词元的 −log2 p 之和除以 UTF-8 字节数，文首的 <|endoftext|> 只作条件、不计入；每词元困惑度："
        "exp(−ln p 之和 / 词元数)；每词困惑度：exp(−ln p 之和 / 词数)，汉字由 rjieba 分词，其余按连续的字母与数字计；"
        "区间：95 %，扩展百分位自助法。",
    ),
    "passages_only": (
        "The intervals say how much passages of these texts differ; other texts may differ by more.",
        "区间只反映这些文本各段落之间的差异；其他文本的差异可能更大。",
    ),
    "unknown_words": (
        "{count} tokens are words outside the vocabulary, whose spelling is not paid for: bits per byte are too low.",
        "有 {count} 个词元是词表外的词，其拼写未计入：每字节比特数偏低。",
    ),
    "paired": (
        "Differences are paired: the same units of text under both models; below zero, the {reference} is better. "
        "p-values are for all comparisons together (Holm).",
        "差值为配对比较：两个模型在相同文本单元上相减，小于零表示 {reference} 更好；p 值已按 Holm 方法对全部比较作校正。",
    ),
    "curves_note": (
        "Training and validation loss in nats a token; learning rate over its peak; tokens a second; gradient norm before clipping.",
        "训练与验证损失（每词元纳特）；学习率（占峰值的比例）；每秒词元数；裁剪前的梯度范数。",
    ),
    "smoothed": (
        "The training loss is that of smoothed targets (label smoothing {share}), the validation loss is not: they do not compare.",
        "训练损失按平滑后的目标计算（标签平滑 {share}），验证损失则不然：两者不可直接比较。",
    ),
    "loss": ("loss", "损失"),
    "training": ("training", "训练"),
    "validation": ("validation", "验证"),
    "learning_rate": ("learning rate / peak", "学习率 / 峰值"),
    "tokens_per_second": ("tokens/s", "词元/秒"),
    "gradient_norm": ("gradient norm", "梯度范数"),
    "step": ("step", "步"),
    "steps": ("steps", "步数"),
    "tokens": ("tokens", "词元"),
    "best_step": ("best at step", "最佳步"),
    "validation_loss": ("best validation loss", "最佳验证损失"),
    "stopped_by": ("stopped by", "停止原因"),
    "limit": ("a limit", "达到上限"),
    "patience": ("patience: validation did not improve", "验证损失不再下降"),
    "start_of_text": ("from the beginning of a text; {sample}", "从文首开始；{sample}"),
    "joined": ("; ", "；"),
    "of": ("{what} ({of})", "{what}（{of}）"),
    "sample": ("temperature {temperature}, top-p {top_p}, seed {seed}", "温度 {temperature}，top-p {top_p}，种子 {seed}"),
    "memory_parts": ("Memory by part, from formulas", "各部分内存（按公式）"),
    "parameter_parts": ("Parameters by part", "各部分参数"),
    "time_parts": ("Forecast seconds by part", "各部分预计秒数"),
    "stages": ("What every stage took", "各阶段用时"),
    "stage": ("stage", "阶段"),
    "seconds": ("seconds", "秒"),
    "part": ("part", "部分"),
    "source": ("source", "来源"),
    "license": ("licence", "许可"),
    "citation": ("citation", "引用"),
    "unknown": ("not stated", "未注明"),
    "split": ("split", "划分"),
    "documents": ("documents", "文档"),
    "bytes": ("bytes", "字节"),
    "train": ("train", "训练"),
    "test": ("test", "测试"),
    "rule": ("rule", "规则"),
    "receipts": (
        "{kept} of {total} inputs kept; every input has a receipt in data/receipts.parquet, and data/card.md is the data card.",
        "收录 {total} 个输入中的 {kept} 个；每个输入在 data/receipts.parquet 中都有记录，data/card.md 为数据卡。",
    ),
    "refused": ("Refused, by rule", "未收录（按规则）"),
    "command": ("Command", "命令"),
    "commit": ("source commit", "源码提交"),
    "seed": ("seed", "种子"),
    "machine": ("machine", "机器"),
    "versions": ("versions", "版本"),
    "config": ("Every setting", "全部设置"),
    "wait": ("This run has no evaluation yet.", "尚未评估。"),
    **ASSUMPTIONS,
}


def report_phrases(language: Language) -> Phrases:
    """These phrases in one language."""
    return Phrases(WORDS, language)
