"""Files of any format, packing and encoding become texts.

In: files, folders, URLs. Out: `Document`s in an order that does not depend on how the files were listed, and refusals.
Reading order: inputs (remote: those behind a URL), scan, formats (signatures, beginnings: what files and texts begin
like), decode (charset: the evidence; alphabets and tongues: letters and words), streams, contents, read with its
readers rows (delimited: CSV and TSV; conversations), extract, warc, pdf (layout: the order of its words; paragraphs),
archives, notebooks, subtitles, office and books (packages: zip files of XML; prose: their elements as lines),
chapters and passages, normalize (mojibake: Chinese read wrongly), items.
Never here: no judgement of a text's quality, nothing extracted without a bound on its size.
"""
