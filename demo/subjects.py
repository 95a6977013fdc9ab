"""Subjects: what each department of the city keeps records about, from which its catalogue is made.

A letter tells the kind: P licences, R registers, N people, S statistics, J projects, E events,
M documents, A assessments, I monitoring, V facilities.
"""

from __future__ import annotations

SUBJECTS: dict[str, str] = {
    "swb": "M市委规范性文件 M市委常委会会议 E督查督办事项 R机要文件收发 A重点工作督查考核 N市委机关干部 E党内法规备案审查",
    "zzb": "N党员 R基层党组织 N公务员登记 E干部教育培训 N高层次人才 J人才引进 A党建考核 N选调生 R驻村第一书记派驻",
    "xcb": "E新闻发布会 R文明单位 R文明村镇 N道德模范 R理论学习中心组 J文化惠民工程 V新时代文明实践中心 R新闻出版单位 E精神文明创建活动",
    "tzb": "N党外代表人士 R民主党派组织 N港澳台侨代表人士 E统战联谊活动 R宗教活动场所联系点 N归侨侨眷 M统战政策",
    "zfw": "E矛盾纠纷排查化解 R综治中心 N网格员 E平安建设宣传活动 A平安建设考核 N见义勇为人员 E社会稳定风险评估 V公共安全视频监控",
    "wxb": "R备案网站 E网络安全事件 E网络舆情处置 R关键信息基础设施 N网络评论员 A网络安全责任制考核 R政务新媒体账号 P互联网新闻信息服务",
    "bb": "R机关机构编制 N事业单位实名制人员 R党政群机关统一社会信用代码赋码 E机构编制调整 A事业单位绩效考核 R权责清单 M机构三定规定",
    "xf": "E信访事项登记 E信访事项复查复核 E领导干部接访 E信访积案化解 A信访工作考核 S信访形势分析 N信访代理人员",
    "daj": "R档案全宗 R馆藏案卷目录 E档案利用登记 R重点档案保护 P档案出境 R立档单位 E档案行政执法检查 V档案库房",
    "zfb": "M市政府文件 M市政府常务会议 E政务值班信息 R政府规章 E人民建议征集 A高质量发展考核 E应急值守 R市领导重点项目联系",
    "fg": "J政府投资 J重大产业 P固定资产投资项目核准 P企业投资项目备案 I主要商品价格 R粮食储备企业 I能源消费 S国民经济计划执行 E价格认定 R公共信用联合奖惩对象 V充电基础设施",
    "jy": "R幼儿园 R民办学校 R校外培训机构 N教师 N家庭经济困难学生资助 E中考成绩 N普通话水平测试 J教育基建 V校舍 P民办学校办学 A义务教育质量监测 N特殊教育学生",
    "kj": "R科技型中小企业 J科技计划 R重点实验室 R工程技术研究中心 N外国专家工作许可 R技术合同登记 R科技企业孵化器 N科技特派员 E科技成果登记",
    "gx": "R规模以上工业企业 I工业经济运行 J技术改造 R专精特新企业 R绿色工厂 E工业节能监察 R两化融合贯标企业 P民用爆炸物品销售 V工业互联网平台",
    "mzzj": "R宗教活动场所 N宗教教职人员 R清真食品生产经营单位 E大型宗教活动审批 N少数民族流动人员 J少数民族发展资金 R民族团结进步示范单位",
    "ga": "P特种行业 P保安服务公司 P大型群众性活动 P剧毒化学品购买 E治安案件 E道路交通事故 E接处警 N出入境证件签发 R旅馆业场所 R娱乐场所 E交通违法 V治安卡口 R枪支弹药管理单位 N剧毒放射品从业人员",
    "mz": "R地名 R养老机构 N特困供养人员 N孤儿 N留守儿童 N困境儿童 R社区居民委员会 R村民委员会 V公墓 N收养登记 N流浪乞讨救助人员 R慈善组织 V社区居家养老服务中心 P公墓建设",
    "sf": "R律师事务所 N律师执业 R公证机构 N公证员 R司法鉴定机构 E法律援助案件 E人民调解案件 N社区矫正对象 E行政复议案件 R基层法律服务所 N人民监督员 E行政执法监督",
    "cz": "M预算公开 J政府债券 R政府采购供应商 E政府采购合同 R国有资产占有使用 N会计专业技术资格 R代理记账机构 S财政收支 J惠民补贴资金 E非税收入收缴 R注册会计师事务所",
    "rs": "R定点技工院校 N专业技术职称 N事业单位工作人员 E劳动人事争议仲裁 E劳动保障监察案件 R人力资源服务机构 E工伤认定 E劳动能力鉴定 N就业困难人员 J创业担保贷款 E公共招聘活动 N职业培训学员 P劳务派遣经营 N社会保障卡持卡人 R拖欠工资失信主体",
    "zr": "P建设用地规划 P建设工程规划 P采矿权 R地质灾害隐患点 I海洋观测 R耕地保护图斑 P海域使用 R测绘资质单位 E土地卫片执法 R林木种苗生产单位 J土地整治 N护林员 V测量标志 R湿地保护区",
    "sthj": "R重点排污单位 I地表水断面水质 I近岸海域水质 I噪声 P建设项目环评 P危险废物经营 R危险废物产生单位 E环境信访举报 E突发环境事件 R辐射安全许可单位 I固定污染源在线 E环境执法检查 J环保专项资金",
    "zj": "P建筑工程施工 P房地产开发资质 P物业服务 R建筑业企业资质 N注册建造师 R保障性住房房源 N公租房保障对象 E房屋安全鉴定 E建筑工地扬尘检查 V燃气设施 V供水设施 J老旧小区改造 E工程质量监督 R房地产经纪机构 E房屋征收补偿",
    "cg": "P户外广告设置 P城市道路挖掘占用 P城市建筑垃圾处置 V公共厕所 V城市桥梁 V路灯 E城市管理案件 E违法建设查处 R环卫作业企业 R停车场 V生活垃圾处理设施 I市容环境卫生",
    "jt": "R营运客车 R营运货车 N出租汽车驾驶员 R公交线路 V公交站点 V农村公路 V桥梁隧道 P超限运输 P水路运输 R机动车维修企业 R驾驶员培训机构 E交通运输行政检查 J交通工程建设 I公路交通流量 R客运站 E港航安全检查",
    "gk": "P港口经营 R港口危险货物作业单位 V码头泊位 I港口吞吐量 E船舶进出港 R引航机构 J港口建设 E港口设施保安检查 V锚地航道 R中欧班列运营 S集装箱运输",
    "sl": "P取水 P河道管理范围建设项目 P水土保持方案 R水库大坝 V水闸泵站 I水位 I雨量 I地下水 R河长湖长 J水利工程建设 E水行政执法 R农村饮水安全工程 E防汛物资储备 N水利工程监理人员",
    "ny": "R家庭农场 R农业产业化龙头企业 P农药经营 P兽药经营 P动物防疫条件 P渔业捕捞 R农机购置补贴机具 N新型职业农民 E农产品质量安全检测 I农情 R渔业船舶 J高标准农田建设 R宅基地审批 R绿色食品认证产品 E动物疫病监测 N脱贫户",
    "sw": "R对外贸易经营者 R外商投资企业 P成品油零售经营 R单用途预付卡发卡企业 R拍卖企业 S进出口 R电子商务示范企业 J境外投资 I生活必需品市场 R老字号企业 R商务诚信示范单位 E展会活动 R跨境电商企业",
    "wl": "R旅行社 R星级饭店 R旅游景区 N导游 P营业性演出 P娱乐场所经营 P互联网上网服务营业场所 R非物质文化遗产项目 N非物质文化遗产传承人 R不可移动文物 E文化市场执法检查 V公共图书馆 I景区客流量 R广播电视播出机构 E群众文化活动 R可移动文物藏品",
    "wj": "N执业医师 N执业护士 P放射诊疗 P公共场所卫生 P母婴保健技术服务 R乡村医生 E传染病报告 E慢性病管理 N孕产妇健康管理 N居民健康档案 E职业病诊断 N严重精神障碍患者管理 E献血 R血站 E卫生监督检查 N计划生育奖励扶助对象 E免疫规划督导",
    "tyjr": "N退役军人 N优抚对象 N烈士 V烈士纪念设施 E退役士兵安置 N军队离退休干部 J优抚资金 R双拥模范单位 N军人随军家属就业 E退役军人培训 V退役军人服务站",
    "yj": "P安全生产 P烟花爆竹经营 R重大危险源企业 R应急物资储备 N应急救援队伍人员 E安全生产事故 E安全生产执法检查 I森林火险 E自然灾害灾情 N特种作业人员 J应急能力建设 E应急预案演练 R安全评价机构 I地震监测",
    "sj": "E审计项目实施 E审计整改 M审计公告 N内部审计人员 R内部审计机构 E经济责任审计 R审计对象库 E领导干部自然资源资产离任审计",
    "wsb": "E因公出国（境）任务审批 N外国人来访邀请 R国际友好城市 E外事接待活动 R领事认证代办单位 N亚太经合组织商务旅行卡持有人 E涉外突发事件处置",
    "gzw": "R市属国有企业 S国有企业财务快报 E国有产权交易 N国有企业领导人员 A国有企业经营业绩考核 J国有企业重大投资 E国有资产评估备案 R国有企业境外资产",
    "scjg": "P药品经营 P医疗器械经营 P特种设备生产 P食品生产 R专利 R商标 R检验检测机构 E消费者投诉举报 E产品质量监督抽查 E食品安全抽检 R经营异常名录企业 R严重违法失信企业 R计量器具 E广告监测 N特种设备作业人员 E双随机检查 R认证证书",
    "ty": "R体育社会组织 V体育场地 P高危险性体育项目经营 N社会体育指导员 N运动员注册 N裁判员 E体育赛事 E国民体质监测 J全民健身工程 R体育彩票销售网点",
    "tj": "R统计调查单位 S地区生产总值 S居民消费价格 S规模以上工业 S固定资产投资 S社会消费品零售 S人口抽样调查 S城乡居民收入 S农业生产 S能源统计 E统计执法检查 S服务业 N统计从业人员",
    "yb": "R定点医疗机构 R定点零售药店 R医保药品目录 R医用耗材目录 N医保医师 E医保基金监督检查 N医疗救助对象 N大病保险待遇享受人员 E异地就医备案 S医保基金收支 N门诊慢特病待遇人员 E生育保险待遇支付",
    "sjj": "R政务信息系统 J政务信息化 R数据共享申请 R云主机资源 E数据质量问题 E网络安全监测预警 R电子证照目录 I政务云运行 R公共数据开放目录 E数据共享交换 R电子印章 A数据共享考核",
    "zwb": "R政务服务事项 E政务服务办件 E好差评 E12345热线工单 R政务服务大厅窗口 N窗口工作人员 V政务服务自助终端 E不见面审批 R中介服务机构 A政务服务效能考核 R办事指南 E帮办代办服务",
    "gdb": "P人防工程建设 V人防工程 V人防警报器 R人防指挥通信设备 N人防专业队 E人防演练 J国防动员潜力调查 E人防工程质量监督 P人防工程拆除",
    "jgsw": "R公务用车 R办公用房 E公共机构能耗 J办公用房维修 E公务接待 R集中采购资产 V机关食堂 E公务用车出行 A节约型机关创建考核",
    "gjj": "R公积金缴存单位 N公积金贷款 E公积金贷款还款 R公积金合作楼盘 S公积金业务 E公积金执法 R受托银行 E公积金异地转移接续 E公积金逾期贷款催收",
    "ggzy": "E工程建设项目招标公告 E工程建设项目中标结果 E政府采购项目公告 E国有产权交易公告 E土地矿权交易 N评标专家 R投标人主体库 E招投标异议投诉 E保证金收退 A代理机构评价",
    "gxs": "R基层供销社 R农资经营网点 R再生资源回收网点 E农资商品储备 J新网工程 R农民合作社联合社 S供销系统经营 V农产品冷链设施 I农资价格",
    "fy": "E案件立案 E裁判文书 E失信被执行人 E司法拍卖 N人民陪审员 E执行案件 E破产案件 R特邀调解组织 E限制消费令 S审判运行",
    "jcy": "E公益诉讼线索 E检察建议 E刑事案件办理 E民事行政监督 N听证员 E未成年人司法保护 S检察业务 E控告申诉 E司法救助",
    "zgh": "R基层工会组织 N工会会员 N劳动模范 N困难职工帮扶 V职工服务中心 E集体合同备案 E职工技能竞赛 R工人先锋号 N工会工作者 E职工疗休养",
    "tsw": "N共青团员 R团组织 E志愿服务活动 R青年文明号 N青年创业者 J希望工程 V青少年活动中心 E青年人才活动 N希望工程资助学生",
    "fl": "R妇女组织 N巾帼建功标兵 N妇女维权 E家庭教育活动 R文明家庭 N贫困妇女两癌救助 V妇女儿童之家 J妇女创业就业 R巾帼家政服务企业",
    "kx": "R学会组织 R科普教育基地 N科技工作者 E科普活动 R院士工作站 N优秀科技论文作者 V科普画廊 E青少年科技创新大赛 A全民科学素质考核",
    "gsl": "R会员企业 R基层商会 N非公有制经济代表人士 E民营企业调研 J光彩事业 E商会调解 S民营经济运行 A民营企业百强",
    "cl": "N残疾儿童康复救助 N残疾人就业 N残疾人两项补贴 N辅助器具适配 R残疾人按比例就业单位 V残疾人托养机构 J残疾人无障碍改造 E残疾人文化体育活动 N残疾学生资助 E残疾评定",
    "sws": "N个人所得税纳税人 R一般纳税人资格 E发票领用 E欠税公告 E税务稽查案件 R重大税收违法失信主体 S税收收入 E出口退税 N车辆购置税缴纳 E契税缴纳 R涉税专业服务机构 E社会保险费征缴 E土地增值税清算",
    "qx": "I气象观测 I气象灾害预警 I空气负离子 P雷电防护装置设计审核 P升放气球 V自动气象站 E人工影响天气作业 S气候资料 R防雷检测机构 E气象灾情",
    "xfj": "P公众聚集场所消防安全 E火灾事故 E消防监督检查 R消防安全重点单位 V消火栓 N消防员 R微型消防站 E消防出动 R消防技术服务机构 E消防产品监督抽查",
    "hs": "R船舶登记 N船员 P船舶国籍 E水上交通事故 E船舶安全检查 E海上搜救 I船舶动态 R航运公司 E船舶防污染作业 P水上水下活动 V航标",
    "rh": "S金融机构存贷款 R银行机构网点 R支付服务机构 E反洗钱检查 S社会融资规模 R征信机构 N金融消费投诉 E外汇业务 S跨境人民币结算",
}
# A kind makes these resources: (ending of the title, template of items, update cycle, share type).
ENDINGS: dict[str, list[tuple[str, str, str, int]]] = {
    "P": [("许可证照信息", "licence", "每日", 1), ("许可办理信息", "case", "每日", 2)],
    "R": [("名录信息", "register", "每月", 1), ("变更信息", "change", "每月", 2)],
    "N": [("基本信息", "person", "每月", 2), ("统计汇总信息", "statistic", "每季度", 1)],
    "S": [("统计信息", "statistic", "每月", 1), ("年度公报信息", "document", "每年", 1)],
    "J": [("项目信息", "project", "每月", 1), ("资金拨付信息", "fund", "每季度", 2)],
    "E": [("登记信息", "event", "每日", 2), ("结果信息", "result", "每周", 2)],
    "M": [("目录信息", "document", "每周", 1)],
    "A": [("评价结果信息", "assessment", "每年", 2)],
    "I": [("监测数据", "monitor", "实时", 1), ("监测点位信息", "facility", "每年", 1)],
    "V": [("设施信息", "facility", "每季度", 1), ("设施巡检信息", "inspection", "每周", 2)],
}
# What every department keeps, in the order in which it is entered.
COMMON: list[tuple[str, str, str, int]] = [
    ("权责清单事项信息", "register", "每季度", 1), ("行政检查结果信息", "inspection", "每周", 1),
    ("部门预算决算信息", "document", "每年", 1), ("政府信息公开申请办理信息", "case", "每周", 2),
    ("建议提案办理信息", "result", "每季度", 1), ("规范性文件信息", "document", "不定期", 1),
    ("机构职能信息", "register", "不定期", 1), ("干部人事信息", "person", "每月", 3),
]  # fmt: skip
PARTY_GROUPS = {
    "swb",
    "zzb",
    "xcb",
    "tzb",
    "zfw",
    "wxb",
    "zgh",
    "tsw",
    "fl",
    "kx",
    "gsl",
    "cl",
    "gxs",
    "daj",
}
# An item: Chinese title, English name, data element or "" with a type and a format.
Column = tuple[str, str, str, str, str]


def _c(title: str, name: str, element: str = "", kind: str = "C", fmt: str = "an..100") -> Column:
    return (title, name, element, kind, fmt)


TEMPLATES: dict[str, list[Column]] = {
    "licence": [_c("{x}许可证编号", "permit_number", "permit_number"), _c("持证单位名称", "entity_name", "entity_name"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("法定代表人", "legal_representative", "legal_representative"), _c("许可内容", "permit_content", "permit_content"), _c("地址", "address", "address"), _c("发证日期", "issued_on", "issued_on"), _c("有效期起", "valid_from", "valid_from"), _c("有效期止", "valid_to", "valid_to"), _c("发证机关", "issuing_authority", "issuing_authority"), _c("证照状态", "status", "", "C", "an..20")],
    "case": [_c("办件编号", "record_number", "record_number"), _c("申请人名称", "party_name", "party_name"), _c("申请人类别", "party_type", "party_type"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("申请日期", "applied_on", "handled_on"), _c("受理日期", "accepted_on", "handled_on"), _c("承诺办结日期", "due_on", "handled_on"), _c("办结日期", "closed_on", "decided_on"), _c("办理结果", "outcome", "", "C", "an..50"), _c("经办机构", "handler", "entity_name"), _c("联系电话", "phone", "phone")],
    "register": [_c("编号", "record_number", "record_number"), _c("名称", "entity_name", "entity_name"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("类别", "category", "", "C", "an..50"), _c("责任单位", "responsible_unit", "entity_name"), _c("联系电话", "phone", "phone"), _c("地址", "address", "address"), _c("行政区划代码", "region_code", "region_code"), _c("认定日期", "registered_on", "registered_on"), _c("状态", "status", "", "C", "an..20")],
    "change": [_c("变更流水号", "record_number", "record_number"), _c("名称", "entity_name", "entity_name"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("变更事项", "changed_field", "", "C", "an..100"), _c("变更前内容", "before", "", "C", "an..500"), _c("变更后内容", "after", "", "C", "an..500"), _c("变更日期", "changed_on", "handled_on"), _c("批准机关", "deciding_authority", "deciding_authority"), _c("批准文号", "document_number", "document_number")],
    "person": [_c("姓名", "name", "person_name"), _c("公民身份号码", "citizen_number", "citizen_number"), _c("性别", "sex", "sex"), _c("出生日期", "birth_date", "birth_date"), _c("民族", "nationality", "nationality"), _c("学历", "education", "education"), _c("政治面貌", "politics", "politics"), _c("工作单位", "work_unit", "work_unit"), _c("现住址", "residence_address", "residence_address"), _c("联系电话", "phone", "phone"), _c("类别", "category", "", "C", "an..50"), _c("登记日期", "registered_on", "registered_on"), _c("状态", "status", "", "C", "an..20")],
    "statistic": [_c("统计期", "period", "report_month"), _c("行政区划代码", "region_code", "region_code"), _c("指标名称", "indicator", "", "C", "an..100"), _c("计量单位", "unit", "", "C", "an..20"), _c("本期值", "value", "", "N", "n..17,2"), _c("上年同期值", "last_year_value", "", "N", "n..17,2"), _c("同比增长率", "growth", "", "N", "n..8,2"), _c("累计值", "cumulated", "", "N", "n..17,2"), _c("填报单位", "reported_by", "entity_name")],
    "project": [_c("项目代码", "project_code", "record_number"), _c("项目名称", "project_name", "project_name"), _c("项目单位", "entity_name", "entity_name"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("建设地点", "address", "address"), _c("建设内容及规模", "scale", "", "C", "an..1000"), _c("总投资", "investment", "registered_capital"), _c("开工日期", "started_on", "handled_on"), _c("计划竣工日期", "finish_on", "handled_on"), _c("形象进度", "progress", "", "C", "an..200"), _c("责任单位", "responsible", "entity_name"), _c("批复文号", "document_number", "document_number")],
    "fund": [_c("拨付流水号", "record_number", "record_number"), _c("项目名称", "project_name", "project_name"), _c("资金文号", "document_number", "document_number"), _c("年度", "report_year", "report_year"), _c("收款单位", "entity_name", "entity_name"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("拨付金额", "amount", "tax_amount"), _c("拨付日期", "paid_on", "paid_on"), _c("资金来源", "fund_source", "", "C", "an..50")],
    "event": [_c("登记编号", "record_number", "record_number"), _c("发生日期", "happened_on", "handled_on"), _c("发生地点", "address", "address"), _c("行政区划代码", "region_code", "region_code"), _c("类型", "category", "", "C", "an..50"), _c("内容摘要", "content", "order_content"), _c("涉及单位", "entity_name", "entity_name"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("登记机构", "recorded_by", "entity_name"), _c("登记时间", "recorded_at", "update_time"), _c("处理状态", "status", "", "C", "an..20")],
    "result": [_c("编号", "record_number", "record_number"), _c("事项名称", "project_name", "project_name"), _c("承办单位", "responsible", "entity_name"), _c("办理日期", "handled_on", "handled_on"), _c("办理结果", "outcome", "", "C", "an..500"), _c("结果文书号", "document_number", "document_number"), _c("办结日期", "closed_on", "decided_on"), _c("是否按期办结", "in_time", "yes_no"), _c("满意度", "satisfaction", "", "C", "n1")],
    "document": [_c("标题", "title", "", "C", "an..200"), _c("文号", "document_number", "document_number"), _c("发文机关", "deciding_authority", "deciding_authority"), _c("成文日期", "decided_on", "decided_on"), _c("公开日期", "published_on", "handled_on"), _c("主题分类", "category", "", "C", "an..50"), _c("正文链接", "link", "", "C", "an..300"), _c("有效性", "effective", "", "C", "an..20")],
    "assessment": [_c("考核年度", "report_year", "report_year"), _c("考核对象", "entity_name", "entity_name"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("考核指标", "indicator", "", "C", "an..200"), _c("指标分值", "full_score", "rating_score"), _c("实际得分", "score", "rating_score"), _c("考核等次", "grade", "", "C", "an..10"), _c("考核单位", "assessor", "entity_name")],
    "monitor": [_c("监测点位编码", "station_code", "station_code"), _c("监测点位名称", "station_name", "station_name"), _c("监测时间", "monitored_at", "update_time"), _c("监测指标", "indicator", "", "C", "an..50"), _c("监测值", "value", "", "N", "n..12,3"), _c("计量单位", "unit", "", "C", "an..20"), _c("标准限值", "threshold", "", "N", "n..12,3"), _c("是否超标", "exceeded", "yes_no"), _c("数据状态", "status", "", "C", "an..20")],
    "facility": [_c("设施编号", "record_number", "record_number"), _c("名称", "facility_name", "facility_name"), _c("类型", "facility_type", "facility_type"), _c("地址", "address", "address"), _c("行政区划代码", "region_code", "region_code"), _c("经度", "longitude", "longitude"), _c("纬度", "latitude", "latitude"), _c("建成日期", "built_on", "founded_on"), _c("管理单位", "managed_by", "entity_name"), _c("责任单位", "responsible_unit", "entity_name"), _c("联系电话", "phone", "phone")],
    "inspection": [_c("检查编号", "record_number", "record_number"), _c("检查对象", "entity_name", "entity_name"), _c("统一社会信用代码", "credit_code", "credit_code"), _c("检查日期", "inspected_on", "inspected_on"), _c("检查内容", "content", "", "C", "an..500"), _c("检查人员", "inspectors", "", "C", "an..100"), _c("发现问题", "findings", "", "C", "an..1000"), _c("整改要求", "requirement", "", "C", "an..500"), _c("整改期限", "due_on", "handled_on"), _c("检查结论", "outcome", "", "C", "an..50")],
}  # fmt: skip
EXTRAS: list[Column] = [
    _c("更新时间", "update_time", "update_time"), _c("备注", "remark", "remark"), _c("数据来源单位", "source_unit", "entity_name"),
    _c("数据来源单位代码", "source_unit_code", "issuing_authority_code"), _c("乡镇街道代码", "town_code", "town_code"), _c("经办部门", "office", "", "C", "an..50"),
    _c("填报人", "reported_person", "person_name"), _c("填报日期", "reported_on", "handled_on"), _c("审核人", "checked_by", "person_name"), _c("邮政编码", "postcode", "postcode"),
    _c("电子邮箱", "email", "email"), _c("附件名称", "attachment", "", "C", "an..200"),
]  # fmt: skip
TITLE_BASIS = {
    1: "《政务数据共享条例》第十四条",
    2: "《政务数据共享条例》第十四条、第十五条",
    3: "《中华人民共和国公务员法》第一百零三条；《中华人民共和国个人信息保护法》第三十四条",
}
