"""The fixed phrases of the card and the report of a data set, in English and Chinese."""

from collections.abc import Iterable
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
    "from": ("characters, from", "字符数，从"),
    "below": ("below", "到（不含）"),
    "kept": ("kept", "已收录"),
    "total": ("inputs", "输入"),
    "versions": ("Versions", "版本"),
    "nothing": ("Nothing was refused.", "没有文档被拒绝。"),
    "alarm": (
        "Warning: {rule} left out {left_out} of {seen} documents. Look at some of them before you trust this data set.",
        "警告：规则 {rule} 略去了 {seen} 篇文档中的 {left_out} 篇。请先抽查其中几篇，再使用本数据集。",
    ),
    "begins_like_json": (
        "Warning: {left_out} of {seen} kept documents begin like JSON: another column or format may be meant.",
        "警告：收录的 {seen} 篇文档中有 {left_out} 篇以 JSON 开头：或许应选另一列或另一格式。",
    ),
    "begins_like_page": (
        "Warning: {left_out} of {seen} kept documents begin like a web page, whose marks are kept as text.",
        "警告：收录的 {seen} 篇文档中有 {left_out} 篇以网页标记开头，标记被当作正文保留。",
    ),
    "begins_like_rtf": (
        "Warning: {left_out} of {seen} kept documents begin like RTF, whose marks are kept as text.",
        "警告：收录的 {seen} 篇文档中有 {left_out} 篇以 RTF 标记开头，标记被当作正文保留。",
    ),
    "wrong_decoding": (
        "Warning: {left_out} of {seen} kept documents have the letters of a wrong decoding.",
        "警告：收录的 {seen} 篇文档中有 {left_out} 篇似因编码判断有误而成乱码。",
    ),
    "fault": (
        "Warning: a fault in hanmo's own code cost {left_out} of {seen} inputs ({rule}); receipts.parquet names each file and place.",
        "警告：hanmo 程序自身的错误使 {seen} 个输入中的 {left_out} 个未能处理（{rule}）；receipts.parquet 列出了每个文件和位置。",
    ),
    "receipts": (
        "receipts.parquet has one row for every input: kept or not, by which rule, each measured value.",
        "receipts.parquet 为每个输入记一行：是否收录、依据哪条规则、各项测得值。",
    ),
    "words_note": (
        "A word is what rjieba cuts from a run of Chinese characters, and a run of letters and digits elsewhere.",
        "词：连续汉字由 rjieba 切分；其他文字为连续的字母与数字。",
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
    "formats": ("Formats and encodings", "格式与编码"),
    "format": ("format", "格式"),
    "encoding": ("encoding", "编码"),
    "mojibake": (
        "Mojibake was undone in {inputs} texts, of which {kept} were kept.",
        "修复了 {inputs} 篇文本中的乱码，其中收录 {kept} 篇。",
    ),
    "no_mojibake": ("No text had mojibake that could be undone.", "没有发现可修复的乱码。"),
    "formats_note": (
        "Inputs that could not be read have neither; the reasons for refusal tell why.",
        "无法读取的输入不在此列，原因见“未收录”。",
    ),
    "domains": ("Web domains", "网站域名"),
    "domain": ("domain", "域名"),
    "mixture": ("Mixture", "配比"),
    "group": ("group", "组"),
    "weight": ("weight asked", "要求的权重"),
    "wanted": ("share asked", "要求的占比"),
    "available": ("documents there", "现有文档"),
    "taken": ("documents taken", "取用文档"),
    "reached": ("share reached", "达到的占比"),
    "mixture_note": (
        "Groups are by {by}, shares are of {unit}, repeats counted; validation and test hold each of their documents once.",
        "按 {by} 分组；占比以{unit}计，重复取用的也计入；验证与测试部分每篇只出现一次。",
    ),
    "mixture_missed": (
        "Not reached as asked: {names}. A group gives no document more often than mix.max_repeats; more documents, more repeats or a "
        "smaller total bring it nearer.",
        "未达到要求：{names}。每篇文档的取用次数不超过 mix.max_repeats；增加文档、放宽次数或减小总量可以接近要求。",
    ),
    "augmented": ("Augmentation", "增广"),
    "operation": ("operation", "操作"),
    "augmented_note": (
        "Changed copies of training documents; each names its original in its metadata, and none has a receipt.",
        "训练文档的改写副本；元数据注明原文，不另立回执。",
    ),
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
    "equal_copies": ("equal texts left out", "略去的相同文本"),
    "near_copies": ("near-duplicates left out", "略去的近似文本"),
    "clusters": ("documents that stand for others", "代表它们而收录的文档"),
    "largest": ("The largest clusters", "最大的簇"),
    "document": ("kept document", "收录的文档"),
    "equal": ("equal", "相同"),
    "near": ("nearly equal", "近似"),
    "near_example": ("Left out, and the document kept in its place: {value} alike", "略去的文本与代为收录的文档：相似度 {value}"),
    "near_examples_note": (
        "The least alike and the most alike of all pairs; what differs is underlined, personal data is masked.",
        "所有文本对中相似度最低与最高的各一对；不同之处加下划线，个人信息已遮蔽。",
    ),
    "contamination": ("Contamination", "污染"),
    "personal": ("Personal data", "个人信息"),
    "kind": ("kind", "类别"),
    "places": ("places", "处数"),
    "item": ("item that was found first in a document", "文档中首要命中的条目"),
    "leaked_note": (
        "Documents were left out because they hold these items of evaluation sets. What costs many documents may be a stock phrase.",
        "文档因含有评测集的这些条目而略去。命中大量文档的条目可能只是常用语。",
    ),
    "leak_example": ("{share} of the words of {item}, and the document that holds them", "{item} 中 {share} 的词，以及含有它们的文档"),
    "leaks_note": (
        "Items beside the first documents that hold them; what they share is underlined, personal data is masked.",
        "条目与最先含有它的文档并列；相同之处加下划线，个人信息已遮蔽。",
    ),
    "personal_note": ("Counted in kept documents; see the settings for what was done with them.", "按收录文档计数；处理方式见设置。"),
    "step_reading": ("Reading", "读取"),
    "step_cleaning": ("Cleaning", "清理"),
    "step_filters": ("Rules", "规则"),
    "step_split": ("Split", "划分"),
    "normal_form": (
        "Every text was brought into one form: Unicode NFC, one kind of line end, no control characters; full-width punctuation stays.",
        "所有文本统一为同一形式：Unicode NFC、统一换行、去除控制字符；全角标点保留。",
    ),
    "repair_done": ("Mojibake was looked for, and undone in {number} texts.", "检查并修复乱码，共 {number} 篇。"),
    "repair_off": ("Mojibake was left as it was found.", "未修复乱码。"),
    "clean_nothing": ("Nothing else was changed.", "此外未作改动。"),
    "lines_removed": (
        "Each {unit} that stands in {number} documents or more was removed.",
        "删除在至少 {number} 篇文档中出现的{unit}。",
    ),
    "unit_line": ("line", "行"),
    "unit_paragraph": ("paragraph", "段落"),
    "chinese_converted": ("Chinese was converted by OpenCC ({value}).", "中文经 OpenCC 转换（{value}）。"),
    "clean_boilerplate": ("Lines that belong to a web page and not to its text were removed.", "删除属于网页而非正文的行。"),
    "clean_sentences_only": ("Lines that are no sentences were removed.", "删除不成句的行。"),
    "clean_lowercase": ("Capital letters became small ones.", "大写字母改为小写。"),
    "clean_remove_punctuation": ("Punctuation was removed.", "删除标点。"),
    "clean_remove_stop_words": ("Stop words were removed.", "删除停用词。"),
    "redact_off": ("Personal data was not looked for.", "未查找个人信息。"),
    "redact_count": ("Counted and left in the text: {kinds}.", "只计数，原文保留：{kinds}。"),
    "redact_mask": ("Replaced by a mask such as [EMAIL]: {kinds}.", "替换为 [EMAIL] 等标记：{kinds}。"),
    "redact_pseudonymise": (
        "Replaced by stand-ins that belong to nobody, the same value by the same one: {kinds}.",
        "替换为不属于任何人的假值，同值同替：{kinds}。",
    ),
    "filters_none": ("Every document with any text was kept.", "凡有文字的文档均收录。"),
    "filters_preset": ("Rules of the preset {preset}, with the thresholds below.", "采用预设 {preset} 的规则，阈值见下。"),
    "filters_languages": ("Only texts in {languages}.", "仅限语言：{languages}。"),
    "exact_on": ("Of equal texts one was kept.", "相同文本只留一篇。"),
    "exact_off": ("Equal texts were not looked for.", "未查找相同文本。"),
    "near_longest": (
        "Of texts at least {threshold} alike the longest was kept.",
        "相似度不低于 {threshold} 的文本只留最长的一篇。",
    ),
    "near_all": (
        "Texts at least {threshold} alike were all kept, in one split.",
        "相似度不低于 {threshold} 的文本全部保留，归入同一划分。",
    ),
    "near_off": ("Near-duplicates were not looked for.", "未查找近似文本。"),
    "contamination_any": (
        "Documents that hold 13 words in a row of an item of {names}, or a shorter item whole, were left out.",
        "与 {names} 中任一条目有连续 13 词相同、或含有整条短条目的文档已略去。",
    ),
    "contamination_share": (
        "Documents that hold more than {share} of the words of an item of {names} were left out.",
        "含有 {names} 中任一条目词数超过 {share} 的文档已略去。",
    ),
    "contamination_off": ("Not compared with any evaluation set.", "未与任何评测集比对。"),
    "mixed": (
        "Mixed by {by} at temperature {temperature}; most times that one document may stand: {repeats}.",
        "按 {by} 配比，温度 {temperature}；每篇至多出现 {repeats} 次。",
    ),
    "split_by_group": (
        "Documents of one {by} stand in one split, drawn from the group's name and the seed.",
        "同一 {by} 的文档归入同一划分，由组名与种子决定。",
    ),
    "split_by_cluster": (
        "Drawn from the text's hash and the seed; near-duplicates follow the first of their cluster, so equal or similar texts never "
        "straddle. A document stays where it is when the data grows, unless its cluster gets another first.",
        "由文本的哈希与种子决定；近似文本随其簇中的第一篇，相同或相近的文本不会跨划分。数据增多时文档位置不变，除非所在簇的第一篇改变。",
    ),
    "split_by_text": (
        "Drawn from the text's hash and the seed, so a document stays where it is when the data grows; equal texts never straddle.",
        "由文本的哈希与种子决定，数据增多时不变；相同文本不会跨划分。",
    ),
    "augmented_by": (
        "Training documents got up to {number} changed copies each, by {names}.",
        "每篇训练文档至多增加 {number} 个改写副本，方式：{names}。",
    ),
    "settings": ("All settings", "全部设置"),
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

    def sentences(self, parts: Iterable[str]) -> str:
        """Sentences one after the other."""
        return (" ", "")[self._column].join(parts)

    def named(self, name: str, value: str) -> str:
        """A name and what it stands for."""
        return f"{name}{(': ', '：')[self._column]}{value}"

    def joined(self, names: Iterable[str]) -> str:
        """Names as a list inside a sentence; a dash for none."""
        return (", ", "、")[self._column].join(names) or "–"
