//! Every phrase of the pages, in both languages.

use kiln_report::Language;

macro_rules! phrases {
    ($($name:ident $ja:literal $en:literal;)*) => {
        /// Something the pages say.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Phrase { $($name,)* }

        impl Phrase {
            pub(crate) const fn say(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::Japanese) => $ja, (Self::$name, Language::English) => $en,)*
                }
            }
        }
    };
}

phrases! {
    Title "検査フロア" "Test floor";
    Stale "フロアから応答がありません。表示は古い可能性があります。" "The floor does not answer. What you see may be old.";
    ScanLabel "製造番号をスキャン" "Scan a serial number";
    NameLabel "担当" "Your name";
    ScanButton "登録" "Take in";
    ScanEmpty "何も読み取れませんでした。もう一度スキャンしてください。" "Nothing was read. Scan again.";
    ScanNoSerial "製造番号ではありません（英数字と . - _ : のみ、80 文字以内）：" "That is no serial number (letters, digits and . - _ : only, at most 80): ";
    ScanPlaceholder "製造番号が書き込まれていない装置の表示です。ラベルをスキャンしてください：" "Firmware says this where no serial number was written. Scan the label: ";
    NameBad "担当名が長すぎるか、使えない文字があります。" "That name is too long or holds control characters.";
    Unit "装置" "Unit";
    State "状態" "State";
    LastVerdict "判定" "Verdict";
    Codes "診断コード" "Codes";
    Agent "エージェント" "Agent";
    Runs "試験" "Runs";
    NoUnits "登録された装置はまだありません。" "No unit has been scanned yet.";
    Arrived "到着・エージェント待ち" "Arrived, waiting for its agent";
    Ready "待機" "Waiting";
    Assigned "開始待ち" "About to start";
    Running "試験中" "Testing";
    Silent "応答なし" "Does not answer";
    LastHeard "最後の応答" "Last heard";
    NotHeard "フロアの起動後は応答なし" "not since the floor was started";
    OnHold "保留" "On hold";
    Released "合格" "Passed";
    Repair "不合格" "Failed";
    Undecided "判定不能" "Undecided";
    Outlier "保留" "Held";
    None "—" "—";
    Simulated "シミュレーション" "SIMULATED";
    SimulatedLong "シミュレーションの結果です。実際の装置については何も言えません。" "Results of a simulated node: they say nothing about a real unit.";
    WhatPart "対象部品" "Part";
    Slot "スロット" "Slot";
    PartSerial "部品の製造番号" "Serial number of the part";
    Cause "原因" "Cause";
    ToDo "処置" "What to do";
    Report "報告書" "Report";
    Profile "プロファイル" "Profile";
    Generation "世代" "Generation";
    NotReadable "このデータは読み出せません：" "The copy cannot be read: ";
    DoReleased "次の工程へ進めてください。" "Hand it on to the next station.";
    DoRepair "下表の部品を処置し、作業を記録してから再試験してください。" "See to the part below, record the work, then it is tested again.";
    DoHeld "理由を確認し、解決してから保留を解除してください。" "Find out why, put it right, then let it go on.";
    DoOutlier "出荷せずに取り置き、試験技術者を呼んでください。" "Do not ship it. Put it aside and call a test engineer.";
    MayOutlier "試験技術者ができること：二人の同意で合格にする、廃却する、または保留を解除して再試験する。" "What a test engineer may do: release it with a second person, scrap it, or let it be tested again.";
    MayOutlierGoOn "試験技術者ができること：二人の同意で次の試験へ進める、廃却する、または保留を解除して最初から再試験する。" "What a test engineer may do: let it go on to its next test with a second person, scrap it, or let it be tested again from the start.";
    MayOutlierNot "試験技術者ができること：廃却する、または保留を解除して再試験する。" "What a test engineer may do: scrap it, or let it be tested again.";
    DoWait "操作は不要です。" "Nothing to do.";
    DoArrived "装置の電源とネットワークを確認してください。" "Check the unit's power and network.";
    FreeButton "保留を解除（最初から試験）" "Let it go on (tested from the start)";
    ReworkLabel "作業内容" "What was done";
    ReworkButton "作業を記録して再試験" "Record the work and test again";
    Back "一覧へ" "All units";
    Held "保留の理由" "Why it is held";
    HeldCloned "同じ識別子のエージェントが二つあります" "two machines say they are this agent";
    HeldForked "ジャーナルがフロアの写しと一致しません" "its journal and the floor's copy disagree";
    HeldSerial "スキャンした番号と装置の番号が違います" "the scanned serial number and the node's own differ";
    HeldStart "試験を開始できません" "its run cannot be started";
    HeldPassAfterFail "作業の記録なしに、不合格の後で合格しました" "it passed after a fail, without recorded work";
    HeldOutlier "すべての規格を満たしましたが、ロットの良品の分布から外れています" "it met every limit, but it is an outlier of its lot: nothing is proven against it";
    HeldOutlierBefore "以前の試験でロットの良品の分布から外れており、今回の試験はロットと比べられていません" "an earlier run showed it to be an outlier of its lot, and this one was not held against a lot";
    HeldNoClaim "再試験でも判定できませんでした" "repeated runs made no claim";
    HeldProgram "試験の割り当て時と異なるプログラムです。解除すると試験を最初からやり直します" "the run was assigned to another program; freed, its unit begins anew";
    HeldUnverified "届いたデータを検証できません" "what arrived does not verify";
    HeldSlot "スキャンしたスロットと装置の場所が違います" "the scanned slot and the one the node says differ";
    HeldTaken "そのスロットには別の装置があります" "there is another unit in that slot";
    HeldRuns "この工程の試験回数の上限に達しました" "as many runs at this stop as allowed, and no end of it";
    HeldRepairs "同じ種類の故障の修理回数の上限に達しました" "repaired for this class of fault as often as allowed";
    HeldRefused "この装置では試験を実行できません。装置のプログラムの報告" "its run cannot be made on this node, whose program says";
    HeldNoSerial "合格した試験のデータに製造番号がありません" "it passed, and the run says no serial number";
    HeldSecond "同じ製造番号を名乗るエージェントが二つあります" "two agents say they are on this unit";
    HeldRoute "生産管理システムが試験を認めません" "the manufacturing system does not allow the test";
    WaitRoute "生産管理システムの応答待ち" "Waits for the manufacturing system to allow it";
    HeldParts "装置の部品表と照合していない試験です。解除すると部品表と照合して最初から試験します" "its run was not held against its parts list; let go on, it is tested with it from the start";
    WaitParts "部品表待ち" "Waits for its parts list";
    WaitOldAgent "部品表を扱えない旧版のエージェントです。更新してください" "Its agent is of before parts lists and would test it without; upgrade the agent";
    PartsLabel "部品表" "Parts list";
    OrderLabel "製造指図" "Order";
    WaitUpgrade "エージェントの更新待ち" "Waits for its agent to become another program";
    Upgrades "エージェントの更新" "Programs of agents";
    UpgradeStopped "更新を止めています" "No more agents are upgraded";
    UpgradeButton "確認済み・更新を再開" "I looked: go on";
    UpgradeWave "更新の段階" "Wave";
    UpgradeGolden "次の段階の前に、更新済みの基準機の合格が必要です。基準機をスキャンしてください。" "The next wave waits for a pass of a golden unit under the program: scan a golden unit.";
    UpgradeOffered "更新中" "Being upgraded";
    UpgradeProgram "プログラム" "Program";
    UpgradeAgents "エージェント数" "Agents";
    UpgradeWanted "更新先" "Wanted";
    UpgradeOverdue "時間内に戻りませんでした" "it did not come back in time";
    UpgradeWrongDigest "届いたプログラムのダイジェストが違います" "the program that came has another digest";
    UpgradeUnsigned "プログラムに署名がありません" "the program is not signed";
    UpgradeWrongSignature "プログラムの署名が違います" "the program's signature is not of the key that the node has";
    UpgradeUnkept "プログラムを保存できません" "the program could not be kept";
    UpgradeWillNotStart "プログラムを起動できません" "the program does not start";
    UpgradeFellBack "新しいプログラムがフロアに届かず、元に戻りました" "the program did not reach the floor, and the agent went back to the one before";
    StoreAway "データベースに接続できません。表示は古い可能性があり、何も決定されません。" "The floor cannot reach its database. What you see may be old, and nothing is decided.";
    DiskTrouble "フロアのディスクに書き込めません。結果はエージェントに残っています。空きを作ってください。" "The floor cannot write to its disk. Results stay with the agents: make room.";
    Outlets "他システムへの通知" "What other systems are told";
    OutletTold "送信済み" "Sent";
    OutletWaits "応答待ち" "Waiting";
    HeldGolden "基準機が合格しませんでした" "the golden unit did not pass";
    Scanning "読み取り中（Esc で中止）：" "Scanning (Esc gives up):";
    Drawn "GPU の位置" "Where the GPUs are";
    DrawnBad "処置する部品" "the part to see to";
    DrawnDoubt "疑いのある部品" "a part in doubt";
    Worked "これまでの作業" "What was tried before";
    When "日時（UTC）" "When (UTC)";
    RemovedPart "取り外した部品をスキャン" "Scan the part taken out";
    FittedPart "取り付けた部品をスキャン" "Scan the part put in";
    OtherPart "取り外した部品は、診断された部品ではありません：" "The part taken out is not the one that was named: ";
    Suspect "設備・ロットの疑い" "Suspected";
    WaitStopped "不合格が多発したため、開始を止めています" "So many units did not pass that nothing more is started";
    WaitGolden "基準機の合格待ち" "Waits for a pass of the golden unit";
    WaitSlot "スロットをスキャンしてください" "Scan its slot";
    WaitLimit "電力・冷却の空き待ち" "Waits for power or cooling";
    WaitRamp "起動の間隔待ち" "Waits for others to have started";
    WaitTurn "順番待ち" "Waits for its turn";
    Waiting "待っている理由" "Why it waits";
    Rack "ラック" "Rack";
    Feed "給電" "Feed";
    CoolingUnit "冷却" "Cooling unit";
    SlotLabel "スロット" "Slot";
    LotLabel "ロット" "Lot";
    SlotBad "スロットまたはロットの名前ではありません：" "That is no name of a slot or lot: ";
    WhyBad "理由を入力してください。" "Say why.";
    Unread "読み取れません：" "That cannot be read: ";
    Building "建屋" "Building";
    Empty "空き" "Empty";
    FirstPass "直行率" "First-pass yield";
    Doors "設備" "The floor";
    NeedsYou "対応が必要" "Needs you";
    WhyLabel "理由" "Why";
    SecondLabel "確認者（二人の同意が必要な場合）" "Second person (where it takes two)";
    DecideLabel "処置の決定" "Decide";
    DecideRepair "修理" "Repair";
    DecideScrap "廃却" "Scrap";
    DecideRelease "合格にする（二人の同意）" "Release it (two people)";
    DecideGoOn "次の試験へ進める（二人の同意）" "Let it go on to its next test (two people)";
    Decisions "担当者の決定の記録" "What people decided";
    WentOn "次の試験へ" "On to its next test";
    OutlierRun "ロットから外れた試験" "Run that was an outlier of its lot";
    DecideButton "決定" "Decide";
    DecidedBy "担当者の決定" "A person decided";
    Scrapped "廃却" "Scrapped";
    Returned "基準機・取り外し可" "Golden unit, done";
    DoScrapped "廃却の置き場へ移してください。" "Take it to the scrap.";
    DoReturned "基準機を保管場所へ戻してください。" "Take the golden unit back to its place.";
    Power "電力と冷却" "Power and cooling";
    Place "場所" "Place";
    Granted "割当" "Granted";
    Limit "上限" "Limit";
    LimitLabel "上限 kW（空欄で元に戻す）" "Limit, kW (empty: as in the file)";
    CutByPerson "（担当者が変更）" "(set by a person)";
    CutButton "上限を変更" "Set the limit";
    PowerOffButton "電源が切れていることを確認した" "I saw that it is off";
    StartsButton "開始を再開" "Let starts go on";
    ScopeButton "対策済み・疑いを解除" "It was put right";
    AgentButton "エージェントを再開" "Let the agent go on";
    AgentsHeld "停止中のエージェント" "Agents on hold";
    Badge "社員証をスキャン" "Scan your badge";
    Pin "暗証番号" "PIN";
    LogIn "ログイン" "Log in";
    LogOut "ログアウト" "Log out";
    LogInBad "社員証または暗証番号が違います。" "That badge or PIN is wrong.";
    LockedOut "暗証番号の誤りが続いたため、管理者が解除するまでログインできません。" "Too many wrong PINs: an admin has to let you in again.";
    ReleaseAsked "合格の申請：" "Asks to release it: ";
    AgreeButton "合格に同意する" "I agree: release it";
    AgreeGoOn "次の試験へ進めることに同意する" "I agree: let it go on to its next test";
    AgreeOther "別の人がログインして同意すると、決定されます。" "It is decided once another person logs in and agrees.";
    MachinesWaiting "承認待ちの装置" "Machines that wait for approval";
    CodeLabel "装置に表示された 6 桁のコード" "The six digits that the machine shows";
    ApproveButton "コードが一致したので承認" "The codes are the same: approve";
    CodeBad "コードが一致しません。装置の表示を確認してください。" "That is not the code that the machine shows. Look there again.";
    MachineGone "その装置はもう待っていません。" "That machine does not wait any more.";
    KnownAgents "承認済みのエージェント" "Approved agents";
    CertifiedUntil "証明書の期限（UTC）" "Certificate ends (UTC)";
    Revoked "失効" "Revoked";
    RevokeButton "失効させる" "Revoke";
    Evidence "装置の情報（自己申告）" "What the machine says of itself";
    KeyLabel "鍵" "Key";
    PeopleLocked "ログインできない担当者" "People who are locked out";
    UnlockButton "再びログインを許可" "Let this person in again";
    OtherLanguage "English" "日本語";
    NotThere "ありません" "There is nothing here";
    Refused "受け付けられません：" "Refused: ";
}
