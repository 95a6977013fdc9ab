"""Layout: the editor's pages as data: which key is shown how, with which words, in which order.

A field: `name` (dotted inside the part), `label`, `kind` (text, area, lines, number, bool, select,
multi, map, list), `help`, `choices` (the name of a list, or pairs), `when` ({sibling: [values]}),
`of` (choices that depend on a sibling: {list, key, prefix}), `fine` (folded away: who wants it opens
it), and for lists `fields`, `item`, `title`, `blank`. A kind `when` is a condition that is put together
by choosing, `days` working days or a limit of the item, `numbering` how numbers are made. The browser draws it; keys that no field shows are left as they are.
"""

from __future__ import annotations

from typing import Any

Field = dict[str, Any]
YES_NO = [["true", "是"], ["false", "否"]]


def _f(name: str, label: str, kind: str = "text", **more: Any) -> Field:
    return {"name": name, "label": label, "kind": kind, **more}


_PERSON = {"objects": ["person"]}
_ENTITY = {"objects": ["entity"]}

ITEM: list[dict[str, Any]] = [
    {"title": "先填这些", "fields": [
        _f("name", "事项名称", required=True, help="动词或名词结尾，如“社区绿地认养登记”。"),
        _f("objects", "服务对象", "multi", choices=[["person", "个人"], ["entity", "企业和其他组织"]], required=True),
        _f("kind", "办件类型", "select", choices=[["promised", "承诺件：在承诺时限内办结"], ["instant", "即办件：当场办结"]], required=True),
        _f("promised_days", "承诺办结时限（工作日）", "number", required=True, help="即办件填 0；不得超过法定时限。"),
        _f("type", "事项类型", "select", choices="item_type", required=True),
        _f("basic_code", "基本编码（12 位数字）", required=True, help="第 3、4 位与事项类型代码相同；实施编码由系统合成。"),
        _f("basis", "设定依据", "area", required=True, help="法律、法规、规章或文件的名称和条款。"),
        _f("conditions", "受理条件", "lines", required=True, help="每行一条。"),
        _f("themes.person", "自然人主题", "multi", choices="person_theme", when=_PERSON, required=True),
        _f("themes.entity", "法人主题", "multi", choices="entity_theme", when=_ENTITY, required=True),
    ]},
    {"title": "时限与身份", "fields": [
        _f("legal_days", "法定办结时限", "number", help="法律没有规定的填 0。"),
        _f("legal_unit", "法定时限单位", "select", choices=[["工作日", "工作日"], ["日", "日"]]),
        _f("legal_note", "法定时限说明"), _f("promised_note", "承诺时限说明"),
        _f("proof", "身份核验等级", "select", choices="levels", number=True),
    ]},
    {"title": "渠道与地点", "folded": True, "fields": [
        _f("online", "网上办理", "bool", preset=True), _f("appointment", "预约办理", "bool", preset=True),
        _f("courier", "物流快递", "bool", preset=True),
        _f("channels", "办理形式", "multi", choices="service_channel"),
        _f("reach", "受理层级", "multi", choices=[["city", "市政务服务中心"], ["county", "县（区）政务服务中心"], ["town", "乡镇（街道）便民服务中心"], ["village", "村（社区）便民服务站"]]),
        _f("scope", "通办范围", "select", choices=[["0", "仅限本市"], ["1", "全国通办"], ["2", "跨省通办"], ["3", "跨市通办"], ["4", "跨县通办"]]),
        _f("visits", "到现场次数", "number"), _f("visits_reason", "必须现场办理原因", help="不用到现场的填“无”。"),
        _f("places", "办理地点", "list", item="一个地点", title="name", help="不填的用本部门窗口的地点。", fields=[
            _f("name", "名称", required=True), _f("address", "地址"), _f("hours", "时间"), _f("phone", "电话")]),
        _f("hours", "办理时间"), _f("consult", "咨询方式"), _f("consult_phone", "咨询电话"), _f("complaint", "监督电话"),
    ]},
    {"title": "收费、分类和其他要素", "folded": True, "fields": [
        _f("fee.charged", "是否收费", "bool"), _f("fee.basis", "收费依据", when={"fee.charged": [True]}),
        _f("fee.items", "收费项目", "list", item="一项收费", title="name", when={"fee.charged": [True]}, fields=[
            _f("name", "名称", required=True), _f("standard", "标准", required=True), _f("basis", "依据")]),
        _f("online_payment", "支持网上支付", "bool"),
        _f("joint", "共同实施部门", "multi", choices="departments", help="需要一起办理、征求意见的部门。"),
        _f("life", "人生事和企业事", "multi", choices="life_event"),
        _f("level", "行使层级", "select", choices="exercise_level"), _f("body_nature", "实施主体性质", "select", choices="body_nature"),
        _f("special", "特别程序", "multi", choices="special_procedure"), _f("quota", "数量限制"),
        _f("agency", "实施机构"), _f("intermediary", "中介服务"), _f("power", "权力来源和行使内容", "area"),
    ]},
]  # fmt: skip

_GROUNDS = _f("grounds", "免提交的依据（按次序试）", "list", item="一条依据", title="by", blank={"by": "licence"}, fields=[
    _f("by", "依据", "select", required=True, choices=[["licence", "电子证照：持有即免交"], ["library", "共享数据：从基础库取得"], ["service", "网络核验：与部门数据核对"], ["earlier", "前序已交：以前办件交过"], ["promise", "告知承诺：书面承诺代替"]]),
    _f("type", "证照类型", "select", choices="licences", when={"by": ["licence"]}, required=True),
    _f("library", "基础库", "select", choices="libraries", when={"by": ["library"]}, required=True),
    _f("source", "部门数据集", "select", choices="datasets", when={"by": ["service"]}, required=True),
    _f("need", "要取得的信息项", "multi", when={"by": ["library"]}, of={"list": "columns", "key": "library", "prefix": "library:"}),
    _f("match", "用哪一项查找（数据项 = 申请表的题目）", "map", when={"by": ["service"]}, of={"list": "columns", "key": "source", "prefix": "dataset:"}, value="fields", help="右边是申请表题目的标识；申请人自己的号码填 citizen_number 或 credit_code。"),
    _f("need", "必须一致的信息项", "multi", when={"by": ["service"]}, of={"list": "columns", "key": "source", "prefix": "dataset:"}),
    _f("material", "以前交过的材料标识", when={"by": ["earlier"]}, required=True, help="与本材料相同的，填本材料的标识。"),
    _f("text", "承诺的内容", "area", when={"by": ["promise"]}, required=True, help="申请人看到并确认的就是这段话。"),
])  # fmt: skip

MATERIALS: list[dict[str, Any]] = [
    {"title": "情形", "note": "问几个问题，按回答减少材料；用不着的可以不设。", "fields": [
        _f("situations", "", "list", item="一个问题", title="question", blank={"id": "", "question": "", "options": [{"id": "yes", "title": "是"}, {"id": "no", "title": "否"}]}, fields=[
            _f("question", "问题", required=True, help="申请人看到的问法，如“车辆登记在谁名下？”。"),
            _f("options", "选项", "list", item="一个选项", title="title", blank={"id": "", "title": ""}, fields=[_f("title", "选项", required=True), _f("id", "标识", required=True, fine=True, help="小写英文或数字，系统内部用；条件里用到它，定了就不要改。")]),
            _f("help", "解释", help="显示在问题下面，帮申请人选对。"),
            _f("when", "什么时候问", "when", empty="总是问"),
            _f("id", "标识", required=True, fine=True, help="小写英文，系统内部用；别处的条件靠它找到这个问题，定了就不要改。"),
        ])]},
    {"title": "申请材料", "note": "能不交的就不要交：给每份材料写明可以免提交的依据，只能从真实存在的证照、数据中选。", "fields": [
        _f("materials", "", "list", item="一份材料", title="name", blank={"id": "", "name": "", "grounds": []}, fields=[
            _f("standard", "标准材料", "select", choices="standards", help="选了标准材料，名称、出具部门和依据都有了，只填不同的。", empty="（自己写）"),
            _f("name", "材料名称", help="选了标准材料的可以不填。"),
            _f("issuer", "出具部门", "select", choices="departments", empty="（不限）"),
            _f("required", "必须有", "bool", preset=True), _f("when", "什么时候要", "when", empty="总是要"),
            _GROUNDS,
            _f("note", "填写和提交说明", "area", fine=True), _f("format", "形式要求", help="默认：原件或清晰照片、扫描件。", fine=True),
            _f("id", "标识", fine=True, help="小写英文，系统内部用。选了标准材料的可以不填。"),
        ])]},
]  # fmt: skip

_FROM = _f("from", "城市已经知道的，替申请人填好（按次序试）", "list", item="一个来源", title="", single=True, blank={"identity": "name"}, fields=[
    _f("identity", "实名信息", "select", choices=[["name", "姓名"], ["number", "证件号码"], ["phone", "手机号"]], empty="—"),
    _f("entity", "本次代表的单位", "select", choices=[["name", "单位名称"], ["code", "统一社会信用代码"]], empty="—"),
    _f("library", "基础库", "select", choices="libraries", empty="—"),
    _f("dataset", "部门数据集", "select", choices="datasets", empty="—"),
    _f("licence", "电子证照", "select", choices="licences", empty="—"),
    _f("item", "信息项", "select", of={"list": "columns", "key": "library", "prefix": "library:"}, when={"library": ["*"]}),
    _f("item", "信息项", "select", of={"list": "columns", "key": "dataset", "prefix": "dataset:"}, when={"dataset": ["*"]}),
    _f("element", "证照要素", "select", of={"list": "licence_elements", "key": "licence", "prefix": ""}, when={"licence": ["*"]}),
])  # fmt: skip
_QUESTION: list[Field] = [
    _f("title", "题目", help="用数据元的可以不填。"),
    _f("element", "数据元", "select", choices="elements", empty="（不用数据元）"),
    _f("kind", "类型", "select", choices="kinds", empty="（由数据元定）"),
    _f("required", "必填", "bool"), _f("help", "提示", help="显示在题目下面的一句话。"),
    _f("options", "选项（代码 = 名称）", "map", when={"kind": ["choice", "multi"]}, help="左边的代码系统内部用，右边是申请人看到的。"),
    _f("domain", "或用代码表", "select", choices="codelists", when={"kind": ["choice", "multi"]}, empty="—"),
    _f("text", "声明的内容", "area", when={"kind": ["declaration"]}),
    _f("min", "最少／最小", when={"kind": ["text", "number", "money", "date"]}, scalar=True),
    _f("max", "最多／最大", when={"kind": ["text", "number", "money", "date"]}, scalar=True),
    _f("unit", "单位", when={"kind": ["number", "money"]}),
    _f("when", "什么时候问", "when", empty="总是问"), _FROM,
    _f("locked", "自动填好后不许改", "bool", fine=True),
    _f("pattern", "格式（正则表达式）", when={"kind": ["text"]}, fine=True), _f("say", "格式不对时的话", when={"kind": ["text"]}, fine=True),
    _f("id", "标识", required=True, fine=True, help="小写英文，系统内部用；决策表、证照靠它找到这一题，定了就不要改。"),
]  # fmt: skip
FORM: list[dict[str, Any]] = [
    {"title": "", "fields": [
        _f("use", "用现成的申请表", "select", choices="forms", empty="（自己设计）", whole=True, help="选了现成的，下面就不用设计。"),
        _f("title", "申请表名称", required=True, when={"use": [None]}), _f("note", "填表说明", "area", when={"use": [None]}),
        _f("parts", "各部分", "list", item="一个部分", title="title", when={"use": [None]}, blank={"id": "", "title": "", "fields": []}, fields=[
            _f("title", "部分名称", required=True), _f("note", "说明"),
            _f("fields", "题目", "list", item="一个题目", title="title", alt="element", target=True, blank={"id": "", "title": "", "kind": "text", "required": True}, fields=_QUESTION),
            _f("when", "什么时候填", "when", empty="总是填", fine=True),
            _f("repeat.item", "可重复填写，每次叫", help="如“一辆车”；留空为只填一次。", fine=True),
            _f("repeat.min", "至少几次", "number", when={"repeat.item": ["*"]}, fine=True), _f("repeat.max", "至多几次", "number", when={"repeat.item": ["*"]}, fine=True),
            _f("id", "标识", required=True, fine=True, help="小写英文，系统内部用。"),
        ]),
    ]},
]  # fmt: skip

PATH: list[dict[str, Any]] = [
    {"title": "", "fields": [
        _f("use", "办理流程", "select", choices="paths", empty="（自己组合环节）", whole=True, help="现成的流程能用就用；要自己排环节的，选最后一项。"),
        _f("title", "流程名称", required=True, when={"use": [None]}), _f("basis", "依据", when={"use": [None]}),
        _f("steps", "环节", "list", item="一个环节", title="title", when={"use": [None]}, target=True, fields=[
            _f("title", "环节名称", required=True, help="申请人和办理人都看得到。"),
            _f("permission", "谁办", "select", choices="permissions", empty="—", when={"decide": [None], "choose": [None], "timer": [None], "wait": [None]}),
            _f("days", "办理时限", "days", when={"permission": ["*"]}, help="超过了会亮黄灯、红灯。"),
            _f("basis", "依据", when={"permission": ["*"]}, help="法律或规定的名称和条款，办理人看得到。"),
            _f("decide", "用哪张决策表", "select", choices=[["= decision", "本服务的决策表（第 5 步里编）"]], when={"decide": ["*"]}, help="由规则直接得出结论，后面接“按条件分流”。"),
            _f("timer.days", "等几个工作日", "number", when={"timer": ["*"]}, help="到期自动走到下一个环节，不用人办。"),
            _f("wait.message", "等的消息", when={"wait": ["*"]}, help="业务系统发来的消息的名称，与对方约定，小写英文。"),
            _f("outcomes", "办理结果和去向", "entries", when={"permission": ["*"]}, item="一种结果", title="title", help="每种结果是办理人的一个按钮；按下后去哪个环节，或者直接办结。", fields=[
                _f("title", "按钮上的字", required=True), _f("go", "去哪个环节", "select", steps=True, empty="（下一个环节）"),
                _f("end", "或者办结为", "select", choices=[["granted", "准予"], ["refused", "不予"], ["not_accepted", "不予受理"], ["withdrawn", "撤回"], ["expired", "逾期终止"]], empty="—", help="选了办结，就不再去别的环节。"),
                _f("reason", "要写理由", "bool"), _f("style", "按钮颜色", "select", choices=[["good", "蓝色（同意）"], ["bad", "红色（不同意）"]], empty="白色")]),
            _f("choose", "分流条件", "list", item="一条去路", title="title", when={"choose": ["*"]}, help="从上往下看，符合哪一条就走哪一条；最后一条不写条件，其余的都走它。", blank={"title": ""}, fields=[
                _f("title", "名称", required=True, help="写在流程图的连线上。"), _f("when", "条件", "when", empty="其余的都走这里"),
                _f("go", "去哪个环节", "select", steps=True, empty="（下一个环节）"), _f("end", "或者办结为", "select", choices=[["granted", "准予"], ["refused", "不予"]], empty="—")]),
            _f("department", "在哪里办", "select", choices="desks", empty="—", when={"permission": ["*"]}, fine=True),
            _f("each", "同时问哪些部门", "select", choices=[["departments", "事项的全部共同实施部门"]], when={"each": ["*"]}, fine=True),
            _f("clock", "共用的时限", when={"permission": ["*"]}, help="写同一个名字的环节合用一个时限，如审查和决定都写 decision。", fine=True),
            _f("final", "办完以后申请人不能再撤回", "bool", when={"permission": ["*"]}, fine=True),
            _f("id", "标识", required=True, help="小写英文，系统内部用。决定环节必须叫 decide，制证送达必须叫 deliver，审批台按它办事。", fine=True),
        ]),
    ]},
]  # fmt: skip

DECISION: list[dict[str, Any]] = [
    {"title": "", "fields": [
        _f("use", "用现成的决策表", "select", choices="decisions", empty="（自己编，或者不用）", whole=True),
        _f("title", "决策表名称", when={"use": [None]}, help="申请人在结果里看得到，如“绿地认养规则”。"), _f("basis", "依据", when={"use": [None]}, help="这些规则从哪里来。"),
        _f("policy", "几条规则同时符合时", "select", when={"use": [None]}, choices=[["F", "用最上面的一条（最常用）"], ["U", "不许有两条同时符合"], ["A", "可以，但结果必须相同"], ["P", "用结果最优先的一条"], ["C", "把结果都列出来"]]),
        _f("also_running", "新规则也用于在办件的依据", when={"use": [None]}, help="一般留空：申请时的规则管到底。只有规定写明也适用于已经受理的申请、对申请人更有利的才填，如“立法法第一百零四条但书”。"),
    ]},
]  # fmt: skip

LICENCE: list[dict[str, Any]] = [
    {"title": "", "fields": [
        _f("use", "结果证照", "select", choices="licences", empty="（自己设计，或者没有结果证照）", whole=True),
        _f("title", "证照名称", when={"use": [None]}, help="留空为没有结果证照。"),
        _f("serial", "本部门证照类型序号（三位数字）", when={"use": [None]}, help="证照类型代码的最后三位，本部门内不重复；900 以上留给本市自己的证照。"),
        _f("holders", "发给谁", "multi", when={"use": [None]}, choices=[["person", "自然人"], ["legal_entity", "法人和其他组织"]]),
        _f("basis", "依据", when={"use": [None]}),
        _f("elements", "要素（按印制次序）", "list", item="一个要素", title="title", alt="element", target=True, when={"use": [None]}, blank={"name": "", "element": ""}, fields=[
            _f("title", "印制的名称", help="不填的用数据元的名称。"), _f("element", "数据元", "select", choices="elements", empty="（不用数据元）", help="城市统一的信息项；选了它，格式和遮盖都有了。"),
            _f("type", "类型", "select", choices=[["C", "文字"], ["D", "日期"], ["N", "数"]], empty="—", when={"element": [None]}),
            _f("required", "必须有", "bool"), _f("wide", "占一整行", "bool"), _f("hidden", "不印出来", "bool", fine=True),
            _f("name", "标识", required=True, fine=True, help="小写英文，系统内部用；与申请表同名的题目自动填进来。发布后只能增加，不能改。")]),
        _f("numbering", "编号", "numbering", when={"use": [None]}, help="签发时自动编号，从 1 开始。"),
        _f("years", "有效期（年，0 为长期）", "number", when={"use": [None]}),
    ]},
    {"title": "版式", "fields": [
        _f("look.layout", "版式", "select", when={"use": [None]}, choices=[["portrait", "竖版"], ["landscape", "横版"], ["card", "卡片"]]),
        _f("look.colour", "颜色", "colour", when={"use": [None]}), _f("look.heading", "大标题", when={"use": [None]}, help="不填的用证照名称。"),
    ]},
    {"title": "各要素的用处", "folded": True, "note": "证照要有编号、持证人和日期。按样板设计的已经对好，改了要素再来看。", "fields": [
        _f("number", "哪个要素是编号", "select", names="elements", when={"use": [None]}),
        _f("holder.name", "哪个要素是持证人名称", "select", names="elements", when={"use": [None]}), _f("holder.number", "哪个要素是持证人号码", "select", names="elements", when={"use": [None]}),
        _f("dates.issued", "哪个要素是发证日期", "select", names="elements", when={"use": [None]}),
        _f("dates.from", "有效期起", "select", names="elements", empty="—", when={"use": [None]}), _f("dates.to", "有效期止", "select", names="elements", empty="—", when={"use": [None]}),
    ]},
]  # fmt: skip

PAGE: list[dict[str, Any]] = [
    {"title": "大厅里的文字", "fields": [
        _f("content", "这件事是什么（一两句话）", "area"),
        _f("keywords", "群众的说法", "lines", help="每行一个，搜索时用，如“认养花园”。"),
        _f("stages", "办理流程的说明", "list", item="一个阶段", title="title", fields=[
            _f("title", "阶段", required=True), _f("note", "说明"), _f("days", "工作日", "number")]),
        _f("faq", "常见问题", "list", item="一个问题", title="q", fields=[_f("q", "问", required=True), _f("a", "答", "area", required=True)]),
    ]},
    {"title": "办理结果", "fields": [
        _f("result.name", "结果名称", help="如“认养登记证”。"), _f("result.sample", "结果样本", help="没有电子证照时，写明结果文书的样子。"),
        _f("result.days", "结果有效多少天", "number", help="长期有效的不填。"),
        _f("result.elements", "证照要素取自哪一题（要素 = 题目）", "map", help="同名的不用写。"),
    ]},
]  # fmt: skip

PAGES: dict[str, list[dict[str, Any]]] = {
    "item": ITEM, "materials": MATERIALS, "form": FORM, "path": PATH, "decision": DECISION,
    "licence": LICENCE, "page": PAGE,
}  # fmt: skip

LISTS: dict[str, tuple[str, ...]] = {
    "item": ("item_type", "person_theme", "entity_theme", "service_channel", "departments",
             "life_event", "exercise_level", "body_nature", "special_procedure", "levels"),
    "materials": ("licences", "libraries", "datasets", "columns", "departments", "standards"),
    "form": ("forms", "elements", "kinds", "codelists", "libraries", "datasets", "columns",
             "licences", "licence_elements"),
    "path": ("paths", "palette", "permissions", "desks"),
    "decision": ("decisions",),
    "licence": ("licences", "elements"),
    "page": (),
}  # fmt: skip
"""The lists of choices that each page needs."""


def label(key: str) -> str:
    """What a key of a part is called on the editor's pages; the key itself where none shows it."""
    for groups in PAGES.values():
        for group in groups:
            for one in group["fields"]:
                if one["name"].partition(".")[0] == key:
                    return str(one["label"] or group["title"])
    return _OTHER.get(key, key)


_OTHER = {"inputs": "决策表的输入", "outputs": "决策表的输出", "rules": "决策表的规则"}

__all__ = ["LISTS", "PAGES", "label"]
