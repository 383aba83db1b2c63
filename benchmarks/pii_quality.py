"""How well personal data is found: precision and recall by kind, in English and in Chinese.

    python benchmarks/pii_quality.py [--data FILE] [--documents 3000] [--seed 1] [--json]

English: the synthetic data set of presidio-research. Chinese: sentences written here, with numbers drawn by a seed; half of
them hold what only looks like personal data (wrong check digits, order numbers, ISBNs, versions, prices, dates). A finding is
right when kind and both borders are; one that overlaps only is counted as `partial`, which is both missed and false. The
Chinese sentences and the rules come from the same hands, and the rules were written with the English data in sight: both show that
the rules do what they say, not how they fare on texts that nobody has looked at.
"""

import argparse
import datetime
import json
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from hanmo.base.runtime import machine, versions
from hanmo.data.privacy.checksums import id_card_check, luhn
from hanmo.data.privacy.personal import KINDS, find

DATA = Path(__file__).parents[2] / "shared" / "data" / "presidio_pii" / "synth_dataset_v2.json"
OURS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "bank_card",
    "IP_ADDRESS": "ip",
    "IBAN_CODE": "iban",
    "US_SSN": "ssn",
}
Span = tuple[int, int, str]
Case = tuple[str, list[Span]]
TRUE = {
    "phone": (
        "我的手机号是{}，有事随时联系。",
        "请拨打{}咨询报名事宜。",
        "王老师（{}）负责接待",
        "客服电话：{}，全天在线",
        "收件人：李雷 {} 北京市海淀区",
    ),
    "email": ("简历请发到{}。", "邮箱：{}，谢谢！", "有问题写信给{}吧"),
    "id_card": ("身份证号码{}，请核对。", "公民身份号码：{}", "乘车人赵敏（{}）已购票"),
    "bank_card": ("卡号：{}，开户行在上海。", "请把钱转到{}这张卡上。", "尾款打到银行卡{}"),
    "ip": ("服务器{}又连不上了。", "来自{}的请求被拒绝", "登录地址为{}，请留意"),
    "url": ("仓库在{} 上，别外传。", "数据库连接串是{} ，改一下密码"),
}
FALSE = (
    "订单号{order}已发货，请注意查收。",
    "这本书的书号是ISBN {isbn}，定价{price}元。",
    "软件已升级到版本{version}，旧版{version}停用。",
    "活动时间：{date}至{date}，地点不变。",
    "全年营收{price}元，同比增长{small}%。",
    "身份证号{wrong_id}填错了，请重填。",
    "测试卡号{wrong_card}不能付款。",
    "内网地址192.168.{small}.{small}，本机127.0.0.1。",
    "公众号@{small}号会员，欢迎关注！",
    "详见https://www.hanmo.cn/news/{date}/{small}.html。",
    "样本共{small}{small}{small}{small}{small}条，编号从10{date}开始。",
    "示例写作someone@example.com，请换成自己的。",
    "比赛以{small}:{small}结束，时间12:{small}:36。",
)
MOBILE = ("138", "139", "150", "159", "177", "186", "199", "166")
CARDS = (("622202", 19), ("621700", 19), ("622848", 19), ("625330", 16), ("453242", 16), ("518710", 16))


def card(dice: random.Random, fits: bool) -> str:
    """A bank card number whose check digit fits, or does not."""
    start, length = dice.choice(CARDS)
    body = start + digits(dice, length - len(start) - 1)
    return next(body + last for last in dice.sample("0123456789", 10) if luhn(body + last) is fits)


def id_card(dice: random.Random, fits: bool) -> str:
    """A Chinese ID card number whose check character fits, or does not."""
    born = datetime.date(1940, 1, 1) + datetime.timedelta(days=dice.randrange(25_000))
    number = f"{dice.choice(('110105', '310104', '440305', '510107', '650102'))}{born:%Y%m%d}{digits(dice, 3)}"
    right = id_card_check(number)
    return number + (right if fits else dice.choice("0123456789X".replace(right, "")))


def digits(dice: random.Random, count: int) -> str:
    return "".join(dice.choices("0123456789", k=count))


def phone(dice: random.Random) -> str:
    if dice.random() < 0.3:
        area = dice.choice(("010", "021", "0571", "0755"))
        return dice.choice(("{}-{}", "({}){}", "（{}）{}")).format(area, dice.choice("2345678") + digits(dice, 7))
    start, middle, end = dice.choice(MOBILE), digits(dice, 4), digits(dice, 4)
    return dice.choice(("{}{}{}", "{}-{}-{}", "{} {} {}", "+86 {}{}{}", "+86-{}-{}-{}")).format(start, middle, end)


def grouped(dice: random.Random, number: str) -> str:
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4)) if dice.random() < 0.3 else number


def address(dice: random.Random) -> str:
    return f"{dice.choice((47, 61, 114, 123, 202, 218))}.{dice.randrange(16, 250)}.{dice.randrange(250)}.{dice.randrange(1, 250)}"


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "phone": phone,
    "email": lambda dice: (
        f"{dice.choice(('wang', 'li_na', 'zhao.lei', 'chen'))}{digits(dice, 3)}@{dice.choice(('hanmo.cn', 'mail.hanmo.com.cn'))}"
    ),
    "id_card": lambda dice: id_card(dice, True),
    "bank_card": lambda dice: grouped(dice, card(dice, True)),
    "ip": address,
    "url": lambda dice: (
        f"{dice.choice(('https', 'mysql', 'ftp'))}://root:{digits(dice, 6)}@{dice.choice(('git.hanmo.cn', address(dice)))}/a"
    ),
}


def filler(dice: random.Random) -> dict[str, str]:
    """What only looks like personal data."""
    return {
        "order": dice.choice(("75", "2023", "JD0", "SF1")) + digits(dice, dice.choice((10, 13, 15))),
        "isbn": dice.choice((f"978-7-{digits(dice, 3)}-{digits(dice, 5)}-{digits(dice, 1)}", "9787" + digits(dice, 9))),
        "price": dice.choice((digits(dice, 3), "1" + digits(dice, 10), f"{dice.randrange(1, 99)}.{digits(dice, 2)}")),
        "version": ".".join(str(dice.randrange(1, 20)) for _ in range(4)),
        "date": f"20{dice.randrange(10, 24)}{dice.choice('-./')}{dice.randrange(10, 13)}{dice.choice('-./')}{dice.randrange(10, 29)}",
        "small": str(dice.randrange(10, 60)),
        "wrong_id": id_card(dice, False),
        "wrong_card": card(dice, False),
    }


def chinese(count: int, seed: int) -> list[Case]:
    """Texts of a few sentences, and where personal data was planted in them."""
    dice = random.Random(seed)
    cases: list[Case] = []
    for _ in range(count):
        text, planted = "", []
        for _ in range(dice.randrange(1, 5)):
            if dice.random() < 0.5:
                text += dice.choice(FALSE).format(**filler(dice))
            else:
                kind = dice.choice(sorted(TRUE))
                before, after = dice.choice(TRUE[kind]).split("{}")
                value = MAKERS[kind](dice)
                start = len(text) + len(before)
                planted.append((start, start + len(value), kind))
                text += before + value + after
            text += dice.choice(("", "\n"))
        cases.append((text, planted))
    return cases


def english(path: Path) -> tuple[list[Case], Counter[str]]:
    """Texts and spans of the kinds we look for, and how many there are of each other kind."""
    cases: list[Case] = []
    others: Counter[str] = Counter()
    for row in json.loads(path.read_text("utf-8")):
        spans = [(s["start_position"], s["end_position"], s["entity_type"]) for s in row["spans"]]
        others.update(kind for _, _, kind in spans if kind not in OURS)
        cases.append((row["full_text"], [(start, stop, OURS[kind]) for start, stop, kind in spans if kind in OURS]))
    return cases, others


def score(cases: Iterable[Case]) -> dict[str, dict[str, float]]:
    """Counts, precision and recall by kind, and over all kinds."""
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text, planted in cases:
        findings = {(f.start, f.stop, f.kind) for f in find(text)}
        wanted = set(planted)
        for span in findings | wanted:
            outcome = "right" if span in findings and span in wanted else "false" if span in findings else "missed"
            sums[span[2]][outcome] += 1
        for start, stop, kind in wanted - findings:
            sums[kind]["partial"] += any(f[2] == kind and f[0] < stop and start < f[1] for f in findings - wanted)
    sums["all"] = sum(sums.values(), Counter())
    return {kind: rates(sums[kind]) for kind in (*KINDS, "all") if sums[kind]}


def rates(counts: Counter[str]) -> dict[str, float]:
    right, false, missed = counts["right"], counts["false"], counts["missed"]
    return {
        "precision": right / (right + false) if right + false else 0.0,
        "recall": right / (right + missed) if right + missed else 0.0,
        "right": right,
        "false": false,
        "missed": missed,
        "partial": counts["partial"],
    }


def speed(cases: list[Case]) -> list[float]:
    """Megabytes a second of processor time, five times; nearly every sentence here has a number, prose is some ten times as fast."""
    texts = [text for text, _ in cases]
    size = sum(len(text.encode()) for text in texts) / 1e6
    found: list[float] = []
    for _ in range(5):
        started = time.process_time()
        for text in texts:
            find(text)
        found.append(size / (time.process_time() - started))
    return found


def table(title: str, scores: dict[str, dict[str, float]]) -> str:
    lines = [title, f"  {'kind':<10} {'precision':>9} {'recall':>7} {'right':>6} {'false':>6} {'missed':>7} {'partial':>8}"]
    for kind, row in scores.items():
        right, false, missed, partial = (row[name] for name in ("right", "false", "missed", "partial"))
        lines.append(f"  {kind:<10} {row['precision']:>9.3f} {row['recall']:>7.3f} {right:>6} {false:>6} {missed:>7} {partial:>8}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="synth_dataset_v2.json of presidio-research")
    parser.add_argument("--documents", type=int, default=3000, help="Chinese texts to make")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.data.exists():
        raise SystemExit(f"{options.data} is missing: give synth_dataset_v2.json of presidio-research with --data")
    cases, others = english(options.data)
    planted = chinese(options.documents, options.seed)
    result = {
        "english": score(cases),
        "not_attempted": dict(others.most_common()),
        "chinese": score(planted),
        "megabytes_per_second": {"english": speed(cases), "chinese": speed(planted)},
        "documents": {"english": len(cases), "chinese": len(planted)},
        "seed": options.seed,
        "machine": machine(),
        "versions": versions(),
    }
    print(table(f"English: presidio-research, {len(cases)} texts", result["english"]))
    print("  not attempted: " + ", ".join(f"{kind} {number}" for kind, number in others.most_common()))
    print(table(f"Chinese: planted, {len(planted)} texts", result["chinese"]))
    for language, rounds in result["megabytes_per_second"].items():
        print(f"{language}: {statistics.median(rounds):.1f} MB/s of one core (from {min(rounds):.1f} to {max(rounds):.1f})")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
