"""The fixed phrases of the card and the report of a data set, in English and Chinese."""

from typing import Literal

Language = Literal["en", "zh"]
WORDS: dict[str, tuple[str, str]] = {
    "title": ("Data set", "数据集"),
    "sources": ("Sources", "来源"),
    "source": ("source", "来源"),
    "license": ("licence", "许可"),
    "citation": ("citation", "引用"),
    "language": ("language", "语言"),
    "unknown": ("not stated", "未注明"),
    "size": ("Size", "规模"),
    "split": ("split", "划分"),
    "train": ("train", "训练"),
    "validation": ("validation", "验证"),
    "test": ("test", "测试"),
    "documents": ("documents", "文档"),
    "characters": ("characters", "字符"),
    "words": ("words", "词"),
    "bytes": ("bytes", "字节"),
    "refused": ("Refused", "未收录"),
    "rule": ("rule", "规则"),
    "value": ("value", "测得值"),
    "threshold": ("threshold", "阈值"),
    "detail": ("detail", "说明"),
    "duplicate_of": ("duplicate of", "重复于"),
    "examples": ("examples", "例子"),
    "cleaning": ("How it was made", "如何制成"),
    "chosen": ("value", "取值"),
    "setting": ("setting", "设置"),
    "lengths": ("Lengths of kept documents", "收录文档的长度"),
    "from": ("from", "从"),
    "below": ("below", "到（不含）"),
    "kept": ("kept", "已收录"),
    "total": ("inputs", "输入"),
    "versions": ("Versions", "版本"),
    "nothing": ("Nothing was refused.", "没有文档被拒绝。"),
    "alarm": (
        "Warning: {rule} left out {left_out} of {seen} documents. Look at some of them before you trust this data set.",
        "警告：规则 {rule} 略去了 {seen} 篇文档中的 {left_out} 篇。请先抽查其中几篇，再使用本数据集。",
    ),
    "receipts": (
        "receipts.parquet has one row for every input: kept or not, by which rule, each measured value.",
        "receipts.parquet 为每个输入记一行：是否收录、依据哪条规则、各项测得值。",
    ),
    "words_note": (
        "A word is what rjieba cuts from a run of Chinese characters, and a run of letters and digits elsewhere.",
        "词：连续汉字由 rjieba 切分；其他文字为连续的字母与数字。",
    ),
    "split_note": (
        "A document's split depends on its own text and the seed alone, so it stays when the data grows; equal texts never straddle.",
        "文档归入哪一划分只取决于其文本与种子，数据增多时不变；相同文本不会跨划分。",
    ),
    "moved_note": (
        "{number} documents were moved so that no split stays empty; with more data they may go back.",
        "为避免划分为空，移动了 {number} 篇文档；数据增多后它们可能移回。",
    ),
    "inputs_note": (
        "{files} files, {bytes} bytes read; SHA-256 over their names and contents {sha256}",
        "读取 {files} 个文件，共 {bytes} 字节；名称与内容的 SHA-256 为 {sha256}",
    ),
    "languages": ("Languages", "语言"),
    "recognised": ("recognised", "识别结果"),
    "no_language": ("no letters", "无文字"),
    "origins": ("Origins", "出处"),
    "origin": ("origin", "出处"),
    "rest": ("{number} others", "其余 {number} 个"),
    "inputs": ("inputs", "输入"),
    "languages_note": (
        "Recognised offline by fastText's lid.176 on two samples of each text; a declared language stays as it was declared.",
        "由 fastText 的 lid.176 离线识别，每篇取两段样本；来源已注明的语言保持不变。",
    ),
    "diversity": ("Diversity", "多样性"),
    "sampled": ("documents in the sample", "样本文档数"),
    "sampled_words": ("words in the sample", "样本词数"),
    "type_token_ratio": ("different words among 1,000 in a row", "每连续 1,000 词中的不同词占比"),
    "compression_ratio": ("bytes for one byte compressed by zlib", "zlib 压缩比"),
    "novelty": ("new {n}-grams of words", "新出现的词 {n} 元组占比"),
    "diversity_note": (
        "From training documents with the smallest ids, at most half a million characters. New: in their last tenth and not before.",
        "取编号最小的训练文档，至多五十万字符。“新”指只在其最后十分之一中出现、此前未见。",
    ),
    "duplicates": ("Duplicates", "重复"),
    "copies": ("copies left out", "略去的副本"),
    "clusters": ("documents that had copies", "有副本的文档"),
    "contamination": ("Contamination", "污染"),
    "contaminated": (
        "{number} documents were left out because they share text with evaluation data.",
        "有 {number} 篇文档因与评测数据文本重合而略去。",
    ),
    "personal": ("Personal data", "个人信息"),
    "kind": ("kind", "类别"),
    "places": ("places", "处数"),
    "personal_note": ("Counted in kept documents; see the settings for what was done with them.", "按收录文档计数；处理方式见设置。"),
    "thresholds": ("Thresholds", "阈值"),
    "thresholds_other": ("threshold", "阈值"),
    "thresholds_chinese": ("where most words are Chinese", "以中文为主的文本"),
}


class Phrases:
    """Fixed phrases in one language."""

    def __init__(self, language: Language) -> None:
        self._column = 0 if language == "en" else 1

    def __call__(self, key: str, **values: object) -> str:
        """The phrase of a key, with values filled in."""
        return WORDS[key][self._column].format(**values)
